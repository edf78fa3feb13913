// The page: loads a model file of the folder above, and shows what it says of the text while it is typed.
/* global document, fetch, performance, setTimeout, clearTimeout */
import { createEncoder, paddedLength } from './encoder.js';
import * as ort from './ort.js';
import { Tokenizer } from './tokenizers.js';

/**
 * @typedef {{ path: string, name: string, bytes: number, external?: { path: string, bytes: number } }} ModelFile
 * @typedef {{ name: string, labels: string[], regression: boolean, maxLength: number, padId: number,
 *   models: ModelFile[], versions: Record<string, string> }} Settings content of model.json
 */

/** Milliseconds without a key before the text is classified. */
const pause = 120;

const percent = new Intl.NumberFormat('en', { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });
const decimal = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** @param {string} id @returns {any} */
const element = (id) => document.getElementById(id);

/** @type {Settings} */
let settings;
/** @type {ReturnType<typeof createEncoder>} */
let encode;
/** The model in use. @type {any} */
let session;

async function start() {
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm: new URL('ort-wasm-simd-threaded.wasm', import.meta.url).href };
  const [given, tokenizer, config] = await Promise.all(
    ['model.json', '../tokenizer.json', '../tokenizer_config.json'].map(async (path) => (await get(path)).json()),
  );
  settings = given;
  encode = createEncoder(Tokenizer, tokenizer, config, settings.maxLength);
  showSettings();
  await useModel(smallest());
}

/** @param {string} path from this page */
async function get(path) {
  const response = await fetch(new URL(path, import.meta.url));
  if (response.ok) return response;
  const advice = path.startsWith('..')
    ? ' The web server has to serve the folder that holds demo, not demo itself.'
    : '';
  throw new Error(`${response.url} could not be loaded: ${response.status} ${response.statusText}.${advice}`);
}

function showSettings() {
  const { name, models, versions } = settings;
  document.title = `${name}: text classifier`;
  element('name').textContent = name;
  element('footer').textContent = Object.entries(versions)
    .map(([what, version]) => `${what} ${version}`)
    .join(' · ');
  for (const [i, { name: format, bytes, external }] of models.entries()) {
    const label = document.createElement('label');
    const radio = Object.assign(document.createElement('input'), { type: 'radio', name: 'model', value: String(i) });
    radio.checked = i === smallest();
    radio.addEventListener('change', () => useModel(i).catch(showProblem));
    const size = Object.assign(document.createElement('small'), {
      textContent: formatBytes(bytes + (external?.bytes ?? 0)),
    });
    label.append(radio, ` ${format} `, size);
    element('models').append(label);
  }
  for (const id of ['text', 'pair']) element(id).addEventListener('input', classifySoon);
  element('toggle').addEventListener('click', () => {
    const shown = element('second').hidden;
    element('second').hidden = !shown;
    element('toggle').textContent = shown ? 'Remove the second text' : 'Add a second text';
    element('toggle').setAttribute('aria-expanded', String(shown));
    element(shown ? 'pair' : 'text').focus();
    classifySoon();
  });
  element('form').addEventListener('submit', (/** @type {Event} */ event) => event.preventDefault());
  element('form').hidden = false;
  element('text').focus();
}

/** Place of the quantized file, where there is one. */
function smallest() {
  const sizes = settings.models.map(({ bytes, external }) => bytes + (external?.bytes ?? 0));
  return sizes.indexOf(Math.min(...sizes));
}

let newest = 0;

/** @param {number} index the one that was chosen last wins */
async function useModel(index) {
  const turn = ++newest;
  const model = /** @type {ModelFile} */ (settings.models[index]);
  for (const id of ['result', 'problem']) element(id).hidden = true;
  element('loading').hidden = false;
  const old = session;
  session = undefined;
  await old?.release();
  const files = [model, ...(model.external ? [model.external] : [])];
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  const contents = [];
  for (const file of files)
    contents.push(
      await download(file, (bytes) => {
        done += bytes;
        if (turn !== newest) return;
        element('progress').value = done / total;
        element('loaded').textContent = `Loading ${model.path}: ${formatBytes(done)} of ${formatBytes(total)}`;
      }),
    );
  if (turn !== newest) return;
  const [bytes, external] = contents;
  const created = await ort.InferenceSession.create(bytes, {
    executionProviders: ['wasm'],
    ...(external && { externalData: [{ path: model.external?.path.split('/').at(-1), data: external }] }),
  });
  // The first run of a session is slower.
  await run(created, encode('first'));
  if (turn !== newest) return created.release();
  session = created;
  element('size').textContent = `${formatBytes(total)}, ${model.path}`;
  element('loading').hidden = true;
  element('result').hidden = false;
  await classify();
}

/**
 * @param {{ path: string, bytes: number }} file
 * @param {(bytes: number) => void} received
 */
async function download({ path, bytes }, received) {
  const response = await get(`../${path}`);
  const content = new Uint8Array(bytes);
  let done = 0;
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (done + part.value.length > bytes) throw new Error(`${path} is longer than ${bytes} bytes: it was replaced`);
    content.set(part.value, done);
    done += part.value.length;
    received(part.value.length);
  }
  if (done < bytes) throw new Error(`${path} has ${done} of ${bytes} bytes`);
  return content;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

function classifySoon() {
  clearTimeout(timer);
  timer = setTimeout(() => classify().catch(showProblem), pause);
}

let running = Promise.resolve();

/** Classifies what stands in the fields now; one run after the other. */
function classify() {
  running = running.catch(() => undefined).then(classifyNow);
  return running;
}

async function classifyNow() {
  if (!session) return;
  const text = element('text').value;
  const pair = element('second').hidden || element('pair').value === '' ? undefined : element('pair').value;
  if (text.trim() === '' && pair === undefined) return showNothing();
  const encoding = encode(text, pair);
  const start = performance.now();
  const logits = await run(session, encoding);
  const milliseconds = performance.now() - start;
  if (!logits.every(Number.isFinite)) throw new Error(`the model gives ${logits.join(', ')} for this text`);
  showAnswer(logits);
  element('latency').textContent = `${decimal.format(milliseconds)}\u00a0ms`;
  const { ids, tokens } = encoding;
  element('tokens').textContent = `${ids.length} of ${settings.maxLength}`.replaceAll(' ', '\u00a0');
  element('note').hidden = tokens <= ids.length;
  element('note').textContent = `The text has ${tokens} tokens, more than the model takes: the end is cut off.`;
}

/**
 * Padded as `kdx predict` pads: the activations of a quantized file see padding.
 * @param {any} model
 * @param {{ ids: number[], typeIds: number[] }} encoding
 * @returns {Promise<number[]>} [labels]
 */
async function run(model, { ids, typeIds }) {
  const { padId, maxLength } = settings;
  const length = paddedLength(ids.length, maxLength);
  /** @param {number[]} values @param {number} filler */
  const tensor = (values, filler) => {
    const data = new BigInt64Array(length).fill(BigInt(filler));
    data.set(values.map(BigInt));
    return new ort.Tensor('int64', data, [1, length]);
  };
  /** @type {Record<string, any>} */
  const inputs = {
    input_ids: tensor(ids, padId),
    attention_mask: tensor(Array(ids.length).fill(1), 0),
    token_type_ids: tensor(typeIds, 0),
  };
  const { logits } = await model.run(
    Object.fromEntries(model.inputNames.map((/** @type {string} */ name) => [name, inputs[name]])),
  );
  return [...logits.data];
}

/** @param {number[]} logits */
function showAnswer(logits) {
  if (settings.regression) {
    const [value = 0] = logits;
    element('answer').textContent = value.toFixed(3);
    element('answer').dataset.value = String(value);
    return;
  }
  const probabilities = softmax(logits);
  const best = probabilities.indexOf(Math.max(...probabilities));
  const label = settings.labels[best] ?? '';
  const share = Object.assign(document.createElement('small'), {
    textContent: percent.format(probabilities[best] ?? 0),
  });
  element('answer').replaceChildren(`${label} `, share);
  element('answer').dataset.label = label;
  element('bars').replaceChildren(...settings.labels.map((name, i) => bar(name, probabilities[i] ?? 0, i === best)));
}

/** @param {string} name @param {number} probability @param {boolean} isBest */
function bar(name, probability, isBest) {
  const item = document.createElement('li');
  item.classList.toggle('best', isBest);
  Object.assign(item.dataset, { label: name, probability: String(probability) });
  const track = span('track', '');
  track.setAttribute('aria-hidden', 'true');
  const fill = span('fill', '');
  fill.style.width = `${100 * probability}%`;
  track.append(fill);
  item.append(span('label', name), track, span('value', percent.format(probability)));
  return item;
}

/** @param {string} className @param {string} textContent */
function span(className, textContent) {
  return Object.assign(document.createElement('span'), { className, textContent });
}

function showNothing() {
  element('answer').replaceChildren(Object.assign(document.createElement('em'), { textContent: 'Type a text.' }));
  for (const name of ['label', 'value']) delete element('answer').dataset[name];
  element('bars').replaceChildren();
  element('note').hidden = true;
  for (const id of ['latency', 'tokens']) element(id).textContent = '–';
}

/** @param {unknown} error */
function showProblem(error) {
  element('loading').hidden = true;
  element('result').hidden = true;
  element('reason').textContent = error instanceof Error ? error.message : String(error);
  element('problem').hidden = false;
}

/** @param {number[]} row exp(x - max) / Σ */
function softmax(row) {
  const max = Math.max(...row);
  const exps = row.map((value) => Math.exp(value - max));
  const sum = exps.reduce((total, value) => total + value, 0);
  return exps.map((value) => value / sum);
}

/** @param {number} bytes */
function formatBytes(bytes) {
  return bytes < 1e6 ? `${decimal.format(bytes / 1e3)} kB` : `${decimal.format(bytes / 1e6)} MB`;
}

start().catch(showProblem);
