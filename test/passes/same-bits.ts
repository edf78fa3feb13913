/** The oracle of the passes: ONNX Runtime gives the same bits before and after. */
import assert from 'node:assert/strict';
import { bytesOf, checkGraph, type Model, type Tensor } from '../../src/graph/index.ts';
import { runModel } from '../support/run-model.ts';

/** @param cases inputs by name, one map for each run */
export async function assertSameBits(before: Model, after: Model, cases: readonly ReadonlyMap<string, Tensor>[]) {
  checkGraph(after.graph);
  const [expected, found] = [await runModel(before), await runModel(after)];
  for (const inputs of cases) assert.deepEqual(bits(await found(inputs)), bits(await expected(inputs)));
}

function bits(outputs: Record<string, Tensor>) {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, value]) => [
      name,
      { dims: [...value.dims], bytes: Buffer.from(bytesOf(value)).toString('hex') },
    ]),
  );
}
