// Measures one opening of the models in a thread of its own, so that it finds nothing of another one and the page stays alive.
/* global fetch, performance, Blob */
import { clockGranularity, measureOpening, openingOrder } from './measure.js';
import { openSubjects } from './sessions.js';
import { sha256 } from './sha256.js';

/**
 * @typedef {import('./plan.js').Plan} Plan
 * @typedef {import('./plan.js').PlannedFile} PlannedFile
 * @typedef {import('./measure.js').OpeningRequest} OpeningRequest
 * @typedef {Record<string, Blob>} Files the models' files by their path in this folder
 * @typedef {{ plan: Plan, cell: number, opening: OpeningRequest, backend: 'wasm' | 'webgpu', files: Files | undefined }} Request
 * @typedef {{ stage: string, done: number, total: number }
 *   | { files: Files }
 *   | { opened: import('./measure.js').Opened, version: string, gpu: string | null, granularityMs: number }
 *   | { error: string }} Answer
 */

/** What a worker of a browser has, and Node's types do not know. @type {any} */
const scope = globalThis;
/** @param {Answer} answer */
const send = (answer) => scope.postMessage(answer);
const now = () => performance.now();

let stopped = false;
scope.onmessage = (/** @type {{ data: Request | 'stop' }} */ { data }) => {
  if (data === 'stop') stopped = true;
  else run(data).then(send, (error) => send({ error: error instanceof Error ? error.message : String(error) }));
};

/** @param {Request} request @returns {Promise<Answer>} */
async function run({ plan, cell, opening, backend, files: loaded }) {
  const files = loaded ?? (await loadFiles(plan));
  if (!loaded) send({ files });
  const begin = now();
  const { threads } = /** @type {import('./plan.js').PlannedCell} */ (plan.cells[cell]).scenario;
  const isGpu = backend === 'webgpu';
  const ort = await import(/** @type {string} */ (isGpu ? './web/ort-webgpu.js' : './web/ort.js'));
  const wasm = isGpu ? 'ort-wasm-simd-threaded.asyncify.wasm' : 'ort-wasm-simd-threaded.wasm';
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = isGpu ? 1 : threads;
  ort.env.wasm.wasmPaths = { wasm: new URL(`web/${wasm}`, import.meta.url).href };

  const content = async (/** @type {PlannedFile} */ { file }) =>
    new Uint8Array(await /** @type {Blob} */ (files[file]).arrayBuffer());
  const inputs = /** @type {import('./plan.js').Inputs} */ (await (await get('inputs.json')).json());
  const order = openingOrder(plan.models.length, plan.settings.seed, opening.number);
  const subjects = await openSubjects(ort, plan, inputs, cell, order, async (model) => {
    const { external } = model;
    return ort.InferenceSession.create(await content(model), {
      executionProviders: [backend],
      // Errors only.
      logSeverityLevel: 3,
      ...(external && { externalData: [{ path: external.name, data: await content(external) }] }),
    });
  });
  const granularityMs = clockGranularity(now);
  const opened = await measureOpening(subjects, now() - begin, plan.settings, opening, {
    now,
    granularityMs,
    turn,
    isStopped: () => stopped,
    onWarmUp: (at, of) => opening.fixed === undefined && send({ stage: 'Warming up', done: at, total: of }),
  });
  const adapter = isGpu ? (await ort.env.webgpu.device)?.adapterInfo : undefined;
  const gpu = adapter ? [adapter.vendor, adapter.architecture, adapter.description].filter(Boolean).join(' ') : null;
  return { opened, version: String(ort.env.versions.web), gpu, granularityMs };
}

/** Each once, for all openings: their workers share what the browser holds of it. @param {Plan} plan @returns {Promise<Files>} */
async function loadFiles({ models }) {
  const wanted = models.flatMap((model) => [model, ...(model.external ? [model.external] : [])]);
  const total = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  /** @type {Files} */
  const files = {};
  for (const { file, bytes, sha256: expected } of wanted) {
    const content = await (await get(file)).arrayBuffer();
    const found = scope.crypto?.subtle
      ? hex(await scope.crypto.subtle.digest('SHA-256', content))
      : sha256(new Uint8Array(content));
    // What is measured is what was planned.
    if (found !== expected) throw new Error(`${file} is not the file that was planned: copy the folder again`);
    files[file] = new Blob([content]);
    send({ stage: 'Loading the models', done: (done += bytes), total });
  }
  return files;
}

/** @param {ArrayBuffer} buffer */
function hex(buffer) {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** @param {string} path in this folder */
async function get(path) {
  const response = await fetch(new URL(path.split('/').map(encodeURIComponent).join('/'), import.meta.url));
  if (!response.ok) throw new Error(`${path} could not be loaded: ${response.status} ${response.statusText}`);
  return response;
}

/** Lets a message in. A timer would be held back by milliseconds. */
function turn() {
  return new Promise((resolve) => {
    const { port1, port2 } = new scope.MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(null);
  });
}
