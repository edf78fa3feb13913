#!/usr/bin/env node
// Measures the models of this folder with onnxruntime-node (or, in WebAssembly, onnxruntime-web) and writes result.json.
//   node run.mjs [--runtime node|web] [--label TEXT] [--out FILE]
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { clockGranularity, measure, measureOpening, openingOrder } from './measure.js';
import { cellName, leftOut, medianRows, resultText } from './plan.js';
import { openSubjects } from './sessions.js';

/**
 * @typedef {import('./plan.js').Plan} Plan
 * @typedef {import('./measure.js').Opened} Opened
 * @typedef {import('./measure.js').OpeningRequest} OpeningRequest
 * @typedef {{ name: string, version: string, backend: 'cpu' | 'wasm' }} Runtime
 * @typedef {{ progress: string } | { opened: Opened, runtime: Runtime } | { skipped: string } | { error: string }} Message
 *   of the process of an opening
 */

/** @param {string} name in this folder */
const path = (name) => fileURLToPath(new URL(name, import.meta.url));
/** @param {string} name @returns {Promise<any>} */
const json = async (name) => JSON.parse(await readFile(path(name), 'utf8'));

const { values } = parseArgs({
  options: {
    runtime: { type: 'string', default: 'node' },
    label: { type: 'string' },
    out: { type: 'string', default: 'result.json' },
    // For the processes that this one starts.
    cell: { type: 'string' },
    opening: { type: 'string', default: '{}' },
  },
});
if (values.runtime !== 'node' && values.runtime !== 'web') fail(`--runtime is node or web, not ${values.runtime}`);
/** @type {Plan} */
const plan = await json('plan.json');
let interrupts = 0;
if (values.cell === undefined) await measureAll();
else await measureInChild(Number(values.cell), JSON.parse(values.opening));

async function measureAll() {
  process.on('SIGINT', () => ++interrupts > 1 && process.exit(130));
  await checkFiles();
  /** @type {import('./plan.js').Measured['cells']} */
  const cells = [];
  /** @type {import('./plan.js').Measured['skipped']} */
  const skipped = [];
  /** @type {Runtime | undefined} */
  let runtime;
  for (const [i, cell] of plan.cells.entries()) {
    const name = `${cellName(cell)} (${i + 1} of ${plan.cells.length})`;
    let shown = '';
    /** @param {string} text */
    const show = (text) => text !== shown && console.error(`${name}: ${(shown = text)}`);
    /** @type {string | undefined} */
    let reason;
    const rounds = await measure(
      plan.models.length,
      plan.settings,
      async (request) => {
        const answer = await measureApart(i, request, show);
        if (answer && 'error' in answer) process.exitCode = 1;
        if (answer && !('opened' in answer)) reason = 'error' in answer ? answer.error : answer.skipped;
        if (!answer || !('opened' in answer)) return undefined;
        runtime = answer.runtime;
        return answer.opened;
      },
      {
        now: () => performance.now(),
        isStopped: () => interrupts > 0,
        onProgress: (share) => show(`measure ${25 * Math.floor(4 * share)} %`),
      },
    );
    if (reason !== undefined) {
      console.error(`${name}: left out, ${reason}`);
      skipped.push(leftOut(i, reason));
      continue;
    }
    const measured = { cell: i, ...rounds };
    if (measured.controlMs.length > 0) {
      cells.push(measured);
      console.log(`\n${cellName(cell)}: median ms per run`);
      for (const row of medianRows(plan, measured))
        console.log(`  ${row.ms.padStart(8)}  ${row.ratio.padStart(6)}  ${row.name}`);
    }
    if (measured.stopReason === 'interrupted') break;
  }
  if (!runtime || cells.length === 0) fail('nothing was measured');
  const out = /** @type {string} */ (values.out);
  const text = resultText(plan, {
    label: values.label ?? null,
    runtime,
    environment: environment(),
    cells,
    skipped,
    warnings: [],
  });
  await writeFile(`${out}.tmp`, text);
  await rename(`${out}.tmp`, out);
  console.log(`\nWritten: ${out}. Where the folder came from: kdx bench --import ${out} --report bench.json --out DIR`);
}

/** What is measured is what was planned. */
async function checkFiles() {
  for (const { file, sha256 } of plan.models.flatMap((model) => [model, ...(model.external ? [model.external] : [])])) {
    const hash = createHash('sha256');
    try {
      for await (const chunk of createReadStream(path(file))) hash.update(chunk);
    } catch (error) {
      fail(`${file} cannot be read: ${message(error)}`);
    }
    if (hash.digest('hex') !== sha256) fail(`${file} is not the file that was planned: copy the folder again`);
  }
}

function environment() {
  const processors = cpus();
  return {
    os: `${platform()} ${release()} ${arch()}`,
    node: process.version.slice(1),
    userAgent: null,
    cpuModel: processors[0]?.model.trim() || null,
    gpu: null,
    logicalCores: processors.length,
    memoryBytes: totalmem(),
    crossOriginIsolated: null,
    timerResolutionMs: clockGranularity(() => performance.now()),
  };
}

/**
 * An opening in a process of its own. Ctrl-C ends the rounds.
 * @param {number} cell
 * @param {OpeningRequest} request
 * @param {(text: string) => void} show
 * @returns {Promise<Exclude<Message, { progress: string }> | undefined>} undefined when it was interrupted early
 */
async function measureApart(cell, request, show) {
  const own = ['--runtime', String(values.runtime), '--cell', String(cell), '--opening', JSON.stringify(request)];
  const child = fork(path('run.mjs'), own);
  const stop = () => child.kill('SIGINT');
  process.on('SIGINT', stop);
  /** @type {Exclude<Message, { progress: string }> | undefined} */
  let answer;
  child.on('message', (/** @type {Message} */ message) => {
    if ('progress' in message) show(message.progress);
    else answer = message;
  });
  // After its last message, and when its memory is free for the next one.
  const [code, signal] = await new Promise((resolve) => child.on('close', (...how) => resolve(how)));
  process.off('SIGINT', stop);
  if (answer || interrupts > 0) return answer;
  return { error: `the process that measures ended (${signal ?? code}), perhaps for lack of memory` };
}

/** @param {number} cell @param {OpeningRequest} request */
async function measureInChild(cell, request) {
  /** @param {Message} answer */
  const send = (answer) => new Promise((resolve) => process.send?.(answer, resolve));
  let stopped = false;
  process.on('SIGINT', () => (stopped = true));
  try {
    const { scenario, sessionOptions } = /** @type {import('./plan.js').PlannedCell} */ (plan.cells[cell]);
    const { ort, runtime, maxThreads } = await (values.runtime === 'node' ? openNode() : openWeb(scenario.threads));
    if (scenario.threads > maxThreads) {
      await send({ skipped: 'several threads need `npm install onnxruntime-web` in this folder' });
    } else {
      const create = runtime.backend === 'cpu' ? fromFile(ort, sessionOptions) : fromBytes(ort);
      const order = openingOrder(plan.models.length, plan.settings.seed, request.number);
      const begin = performance.now();
      const subjects = await openSubjects(ort, plan, await json('inputs.json'), cell, order, create);
      const opened = await measureOpening(subjects, performance.now() - begin, plan.settings, request, {
        now: () => performance.now(),
        granularityMs: clockGranularity(() => performance.now()),
        turn,
        isStopped: () => stopped,
        onWarmUp: (done, total) => {
          if (!request.fixed) void send({ progress: `warm up ${25 * Math.floor((4 * done) / total)} %` });
        },
      });
      await send({ opened, runtime });
    }
  } catch (error) {
    await send({ error: message(error) });
  }
  // The threads of WebAssembly would keep it alive.
  process.exit();
}

async function openNode() {
  const ort = await load('onnxruntime-node');
  if (!ort) throw new Error('onnxruntime-node is not here. In this folder: npm install onnxruntime-node');
  const version = String(ort.env.versions.node);
  return {
    ort,
    maxThreads: Infinity,
    runtime: /** @type {Runtime} */ ({ name: 'onnxruntime-node', version, backend: 'cpu' }),
  };
}

/**
 * The installed package, or the build for browsers in this folder, which has one thread in Node.
 * @param {number} threads
 */
async function openWeb(threads) {
  const installed = await load('onnxruntime-web');
  const ort = installed ?? (await load('./web/ort.js'));
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = installed ? threads : 1;
  if (!installed) ort.env.wasm.wasmBinary = await readFile(path('web/ort-wasm-simd-threaded.wasm'));
  const version = String(ort.env.versions.web);
  const runtime = /** @type {Runtime} */ ({ name: 'onnxruntime-web', version, backend: 'wasm' });
  return { ort, maxThreads: installed ? Infinity : 1, runtime };
}

/** @param {string} name @returns {Promise<any>} undefined when it is not installed */
async function load(name) {
  try {
    return await import(name);
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === 'ERR_MODULE_NOT_FOUND' && message(error).includes(`'${name}'`)) return undefined;
    throw error;
  }
}

/** @param {any} ort @param {Record<string, unknown>} options */
function fromFile(ort, options) {
  return (/** @type {Plan['models'][number]} */ { file }) => ort.InferenceSession.create(path(file), options);
}

/** @param {any} ort */
function fromBytes(ort) {
  return async (/** @type {Plan['models'][number]} */ { file, external }) =>
    ort.InferenceSession.create(await readFile(path(file)), {
      executionProviders: ['wasm'],
      ...(external && { externalData: [{ path: external.name, data: await readFile(path(external.file)) }] }),
    });
}

/** @param {unknown} error */
function message(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {string} text @returns {never} */
function fail(text) {
  console.error(text);
  process.exit(1);
}
