// The page: starts a worker for each opening of each cell of the plan, shows medians, and offers the samples as a file.
/* global fetch, Blob, performance */
import { measure } from './measure.js';
import { cellName, leftOut, medianRows, resultText } from './plan.js';

/**
 * @typedef {import('./plan.js').Plan} Plan
 * @typedef {import('./plan.js').Measured} Measured
 * @typedef {import('./worker.js').Answer} Answer
 * @typedef {Extract<Answer, { opened: unknown }>} Measurer
 * @typedef {'wasm' | 'webgpu'} Backend
 */

/** What a page has, and Node's types do not know. @type {any} */
const { document, navigator, Worker, crossOriginIsolated } = globalThis;
/** @param {string} id */
const element = (id) => document.getElementById(id);

/** @type {Plan} */
let plan;
/** @type {any} */
let worker;
/** Once loaded. @type {import('./worker.js').Files | undefined} */
let files;
let stopped = false;
let wasHidden = false;

async function start() {
  plan = /** @type {Plan} */ (await (await fetch(new URL('plan.json', import.meta.url))).json());
  for (const [i, { name, bytes, external }] of plan.models.entries()) {
    const megabytes = (bytes + (external?.bytes ?? 0)) / 1e6;
    const size = made('small', ` ${megabytes.toFixed(1)} MB${i === 0 ? ', the teacher' : ''}`);
    element('models').append(made('li', name, size));
  }
  const { length } = plan.cells;
  element('estimate').textContent =
    `${length} combination${length === 1 ? '' : 's'} of batch, length and threads, about ` +
    `${Math.ceil((length * (plan.settings.seconds + 2 + plan.models.length * plan.settings.warmUpSeconds)) / 60)} min. ` +
    'Leave this tab in front, and the device alone.';
  element('webgpu').hidden = !(await navigator.gpu?.requestAdapter());
  element('isolation').hidden = crossOriginIsolated;
  element('start').disabled = false;
  element('form').addEventListener('submit', (/** @type {Event} */ event) => {
    event.preventDefault();
    const backend = element('form').elements.backend.value;
    measureAll(backend)
      .catch(showProblem)
      .finally(() => showRunning(false));
  });
  element('stop').addEventListener('click', () => {
    stopped = true;
    worker?.postMessage('stop');
  });
  document.addEventListener('visibilitychange', () => (wasHidden ||= document.hidden));
}

/** @param {boolean} isRunning */
function showRunning(isRunning) {
  element('running').hidden = !isRunning;
  element('stop').hidden = !isRunning;
  element('start').disabled = isRunning;
}

/** @param {Backend} backend */
async function measureAll(backend) {
  for (const id of ['result', 'problem']) element(id).hidden = true;
  element('tables').replaceChildren();
  [stopped, wasHidden] = [false, document.hidden];
  showRunning(true);
  /** @type {Measured['cells']} */
  const cells = [];
  /** @type {Measured['skipped']} */
  const skipped = [];
  /** @type {Measurer | undefined} */
  let last;
  for (const [i, cell] of plan.cells.entries()) {
    const reason = reasonToSkip(i, backend);
    if (reason !== undefined) {
      skipped.push(leftOut(i, reason));
      continue;
    }
    if (stopped) break;
    const name = `${cellName(cell)} (${i + 1} of ${plan.cells.length})`;
    /** @type {import('./measure.js').Rounds} */
    let rounds;
    try {
      rounds = await measure(
        plan.models.length,
        plan.settings,
        async (opening) => {
          last = await measureInWorker({ cell: i, opening, backend }, name);
          return last.opened;
        },
        {
          now: () => performance.now(),
          isStopped: () => stopped,
          onProgress: (share) => showStage(`${name}: Measuring`, share),
        },
      );
    } catch (error) {
      // Without the models, no other cell can be measured either.
      if (!files) throw error;
      skipped.push(leftOut(i, messageOf(error)));
      continue;
    }
    const measured = { cell: i, ...rounds };
    if (measured.controlMs.length === 0) break;
    cells.push(measured);
    showCell(measured);
  }
  const measurer = /** @type {Measurer | undefined} */ (last);
  if (!measurer || cells.length === 0)
    throw new Error(skipped[0]?.reason ?? 'It was stopped before the first round ended.');
  const { gpu, granularityMs, version } = measurer;
  showResult({
    label: element('label').value.trim() || null,
    runtime: { name: 'onnxruntime-web', version, backend },
    environment: {
      os: navigator.userAgentData?.platform || navigator.platform || 'unknown',
      node: null,
      userAgent: navigator.userAgent,
      cpuModel: null,
      gpu,
      logicalCores: navigator.hardwareConcurrency ?? 1,
      // In GB, rounded, and not in every browser.
      memoryBytes: navigator.deviceMemory ? navigator.deviceMemory * 2 ** 30 : null,
      crossOriginIsolated,
      timerResolutionMs: granularityMs,
    },
    cells,
    skipped,
    warnings: wasHidden ? ['the tab was in the background for a while, where browsers slow pages down'] : [],
  });
}

/** @param {number} i @param {Backend} backend @returns {string | undefined} */
function reasonToSkip(i, backend) {
  const threads = plan.cells.map(({ scenario }) => scenario.threads);
  if (backend === 'webgpu') return threads[i] === threads[0] ? undefined : 'threads make no difference to WebGPU';
  if ((threads[i] ?? 1) === 1 || crossOriginIsolated) return undefined;
  return 'several threads need a page that is isolated from other sites, as with node serve.mjs';
}

/** @param {Pick<import('./worker.js').Request, 'cell' | 'opening' | 'backend'>} request @param {string} name */
function measureInWorker(request, name) {
  worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
  /** @type {Promise<Measurer>} */
  const answered = new Promise((resolve, reject) => {
    worker.onmessage = (/** @type {{ data: Answer }} */ { data }) => {
      if ('error' in data) reject(new Error(data.error));
      else if ('files' in data) files = data.files;
      else if ('opened' in data) resolve(data);
      else showStage(`${name}: ${data.stage}`, data.done / data.total);
    };
    worker.onerror = (/** @type {any} */ event) =>
      reject(new Error(event.message || 'the worker could not be started'));
  });
  if (!files) showStage(`${name}: Loading`, 0);
  worker.postMessage({ plan, files, ...request });
  return answered.finally(() => worker.terminate());
}

/** @param {string} text @param {number} share */
function showStage(text, share) {
  if (element('stage').textContent !== text) element('stage').textContent = text;
  element('progress').value = share;
}

/** @param {Measured['cells'][number]} cell */
function showCell(cell) {
  const head = made('tr', ...['model', 'ms', 'teacher / model'].map((title) => made('th', title)));
  const rows = medianRows(plan, cell).map(({ name, ms, ratio }) => {
    const row = made('th', name);
    row.scope = 'row';
    return made('tr', row, made('td', ms), made('td', ratio));
  });
  const planned = /** @type {import('./plan.js').PlannedCell} */ (plan.cells[cell.cell]);
  element('tables').append(made('h3', `${cellName(planned)}, ${cell.controlMs.length} rounds`));
  element('tables').append(made('table', made('thead', head), made('tbody', ...rows)));
  element('saved').hidden = true;
  element('result').hidden = false;
}

/** @param {Measured} measured */
function showResult(measured) {
  const url = URL.createObjectURL(new Blob([resultText(plan, measured)], { type: 'application/json' }));
  URL.revokeObjectURL(element('download').href);
  element('download').href = url;
  element('saved').hidden = false;
  element('notes').textContent = [
    ...measured.skipped.map(
      ({ cell, reason }) => `${cellName(/** @type {any} */ (plan.cells[cell]))}: left out, ${reason}.`,
    ),
    ...measured.warnings,
    `The clock steps by ${Number(measured.environment.timerResolutionMs.toPrecision(2))} ms.`,
  ].join(' ');
}

/** @param {string} tag @param {...unknown} content texts and elements; texts are never markup */
function made(tag, ...content) {
  const node = document.createElement(tag);
  node.append(...content);
  return node;
}

/** @param {unknown} error */
function showProblem(error) {
  element('reason').textContent = messageOf(error);
  element('problem').hidden = false;
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

start().catch(showProblem);
