// The models of a cell, open in ONNX Runtime and ready to be measured. The runtime is handed over: node, wasm or WebGPU.

/**
 * @typedef {import('./plan.js').Plan} Plan
 * @typedef {import('./plan.js').PlannedModel} PlannedModel
 * @typedef {import('./plan.js').Inputs} Inputs
 */

/**
 * @param {any} ort onnxruntime-node or onnxruntime-web
 * @param {Plan} plan
 * @param {Inputs} inputs
 * @param {number} cell place in the plan
 * @param {readonly number[]} order places among the models; the one after the last is the first model again
 * @param {(model: PlannedModel) => Promise<any>} create makes a session
 * @returns {Promise<import('./measure.js').Subject[]>}
 */
export async function openSubjects(ort, plan, inputs, cell, order, create) {
  const subjects = [];
  for (const lane of order) {
    const place = lane % plan.models.length;
    const model = /** @type {PlannedModel} */ (plan.models[place]);
    const session = await create(model);
    const turns = (inputs.cells[cell]?.[place] ?? []).map((feeds) =>
      Object.fromEntries(Object.entries(feeds).map(([name, at]) => [name, tensor(ort, model.reads[name], inputs, at)])),
    );
    subjects.push({ lane, run: (/** @type {number} */ turn) => session.run(turns[turn % turns.length]) });
  }
  return subjects;
}

/**
 * @param {any} ort
 * @param {'int32' | 'int64' | undefined} type
 * @param {Inputs} inputs
 * @param {number} at place among their tensors
 */
function tensor(ort, type, { tensors }, at) {
  const { dims, data } = /** @type {Inputs['tensors'][number]} */ (tensors[at]);
  return type === 'int64'
    ? new ort.Tensor('int64', BigInt64Array.from(data, BigInt), dims)
    : new ort.Tensor('int32', Int32Array.from(data), dims);
}
