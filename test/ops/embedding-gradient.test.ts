/**
 * Embedding gradients are exact when rows repeat and two threads work. ScatterND(reduction=add), the obvious operator,
 * loses updates there (onnxruntime#18048, #23396).
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gradients } from '../../src/autodiff/index.ts';
import { openEngine } from '../../src/engine/index.ts';
import { modelOf, tensorOf, type Model } from '../../src/graph/index.ts';
import { GraphBuilder, ops } from '../../src/ops/index.ts';
import { seeded } from '../support/seeded.ts';
import { backends } from '../support/backends.ts';

const [rows, width, batch, length] = [16, 48, 32, 64];
const RUNS = 40;

/** The gradient of Σ table[ids]·updates with respect to the table: updates summed by row. */
function scatterModel(): Model {
  const g = new GraphBuilder();
  const table = g.input('table', 'float32', [rows, width]);
  const ids = g.input('ids', 'int64', [batch, length]);
  const updates = g.input('updates', 'float32', [batch, length, width]);
  const loss = g.total(g.mul(g.op('Gather', [table, ids], { axis: 0 }), updates));
  const [gradient] = gradients(g, loss, [table]);
  g.output('gradient', gradient ?? assert.fail('no gradient'));
  return modelOf(g.build('embedding'));
}

describe('embedding gradients are exact with repeated indices on 2 threads', () => {
  for (const backend of backends)
    it(`${backend}, ${RUNS} runs`, async () => {
      const engine = await openEngine({ device: 'cpu', backend, threads: 2 });
      try {
        const session = await engine.createSession(scatterModel());
        const random = seeded(1);
        const table = tensorOf('float32', [rows, width], new Float32Array(rows * width));
        for (let run = 0; run < RUNS; run++) {
          const count = batch * length;
          const ids = Array.from({ length: count }, () => random.integer(rows));
          // Integers whose sums float32 holds exactly.
          const updates = Float32Array.from({ length: count * width }, () => random.integer(17) - 8);
          const sums = new Float32Array(rows * width);
          ids.forEach((id, i) => {
            for (let j = 0; j < width; j++) sums[id * width + j]! += updates[i * width + j]!;
          });
          const feeds = {
            table,
            ids: tensorOf('int64', [batch, length], ids),
            updates: tensorOf('float32', [batch, length, width], updates),
          };
          const { gradient } = await session.run({ feeds, fetch: ['gradient'] });
          assert.deepEqual(gradient?.data, sums);
        }
      } finally {
        await engine.close();
      }
    });

  it('no rule can emit ScatterND: the table of operators does not have it', () => {
    assert.ok(!('ScatterND' in ops));
    assert.ok(scatterModel().graph.nodes.every(({ opType }) => opType in ops));
  });
});
