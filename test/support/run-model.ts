/** Runs a small model through onnxruntime-node in this process: the oracle of graph tests. */
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { Model, Tensor } from '../../src/graph/index.ts';
import { encodeModel } from '../../src/onnx/index.ts';

type Run = (inputs: ReadonlyMap<string, Tensor>) => Promise<Record<string, Tensor>>;

/** A session of a model; feeds are taken by name from `inputs`, those the graph does not have are left out. */
export async function runModel(model: Model, threads = 1): Promise<Run> {
  const session = await InferenceSession.create(encodeModel(model).bytes, {
    intraOpNumThreads: threads,
    graphOptimizationLevel: 'basic',
  });
  return async (inputs) => {
    const feeds: Record<string, OrtTensor> = {};
    for (const name of session.inputNames) {
      const value = inputs.get(name) as Tensor;
      feeds[name] = new OrtTensor(value.dtype as 'float32', value.data as Float32Array, value.dims);
    }
    const results = await session.run(feeds);
    return Object.fromEntries(
      Object.entries(results).map(([name, value]): [string, Tensor] => [
        name,
        { dtype: value.type, dims: value.dims, data: value.data },
      ]),
    );
  };
}
