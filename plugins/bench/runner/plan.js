// What plan.json, inputs.json and the result hold, and how a result is put together. plugins/bench/src/runner checks it.
/* global TextEncoder */
import { median } from './measure.js';
import { sha256 } from './sha256.js';

/**
 * @typedef {{ file: string, bytes: number, sha256: string }} PlannedFile path in this folder, with forward slashes
 *
 * @typedef {PlannedFile & {
 *   name: string,
 *   reads: Record<string, 'int32' | 'int64'>,
 *   external?: PlannedFile & { name: string },
 * }} PlannedModel `reads` are its inputs; `external` has its weights, under the name that the model has for them
 *
 * @typedef {{
 *   scenario: { threads: number, batch: number, length: number | 'natural' },
 *   sessionOptions: Record<string, unknown>,
 * }} PlannedCell `sessionOptions` are those of onnxruntime-node
 *
 * @typedef {{
 *   settings: import('./measure.js').Settings,
 *   models: PlannedModel[],
 *   cells: PlannedCell[],
 * }} Plan the first model is the teacher
 *
 * @typedef {{
 *   tensors: { dims: number[], data: number[] }[],
 *   cells: Record<string, number>[][][],
 * }} Inputs by cell, model, turn and name: places among the tensors
 *
 * @typedef {{ cell: number } & import('./measure.js').Rounds} MeasuredCell
 *
 * @typedef {{
 *   label: string | null,
 *   runtime: { name: string, version: string, backend: 'cpu' | 'wasm' | 'webgpu' },
 *   environment: {
 *     os: string,
 *     node: string | null,
 *     userAgent: string | null,
 *     cpuModel: string | null,
 *     gpu: string | null,
 *     logicalCores: number,
 *     memoryBytes: number | null,
 *     crossOriginIsolated: boolean | null,
 *     timerResolutionMs: number,
 *   },
 *   cells: MeasuredCell[],
 *   skipped: { cell: number, reason: string }[],
 *   warnings: string[],
 * }} Measured
 */

/**
 * The content of the file that goes back. Its hash tells a file that was damaged on the way.
 * @param {Plan} plan
 * @param {Measured} measured
 * @returns {string}
 */
export function resultText(plan, measured) {
  const content = { format: 'kdx-bench-result', version: 2, plan, ...measured };
  return `${JSON.stringify({ ...content, sha256: sha256(new TextEncoder().encode(JSON.stringify(content))) })}\n`;
}

/**
 * A cell that was not measured.
 * @param {number} cell
 * @param {string} reason of any length and content: it may be the message of a runtime
 * @returns {Measured['skipped'][number]}
 */
export function leftOut(cell, reason) {
  const printable = reason.replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu, ' ').trim();
  return { cell, reason: printable.slice(0, 500) };
}

/**
 * `1 x 128, 2 threads`: batch, length, threads.
 * @param {PlannedCell} cell
 */
export function cellName({ scenario: { batch, length, threads } }) {
  return `${batch} x ${length}, ${threads} thread${threads === 1 ? '' : 's'}`;
}

/**
 * Medians for display; what is believed of them, `kdx bench --import` finds out.
 * @param {Plan} plan
 * @param {MeasuredCell} cell
 * @returns {{ name: string, ms: string, ratio: string }[]} `ratio`: the teacher's median over the model's
 */
export function medianRows(plan, cell) {
  const medians = [...cell.models.map(({ samplesMs }) => median(samplesMs)), median(cell.controlMs)];
  const [teacher = NaN] = medians;
  const names = [...plan.models.map(({ name }) => name), `${plan.models[0]?.name}, again`];
  return medians.map((ms, i) => ({
    name: /** @type {string} */ (names[i]),
    ms: ms.toPrecision(3),
    ratio: i === 0 ? '' : `x${(teacher / ms).toFixed(2)}`,
  }));
}
