/** Exchanged query and key projections (the shuffle of Pea-KD's SPS): the scores of a depth are transposed, exactly. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { elementCount, modelOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import { bertEncoder, encoderParameters, swappedName, type BertArchitecture } from '../../src/nn/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';
import { goldenArchitecture } from '../support/golden.ts';
import { runModel } from '../support/run-model.ts';
import { seeded } from '../support/seeded.ts';

const [rows, length] = [3, 7];
const random = seeded(5);
const uniform = (shape: readonly number[]) =>
  tensorOf(
    'float32',
    shape,
    Array.from({ length: elementCount(shape) }, () => random.float() - 0.5),
  );

/** Two uses of one layer, biases drawn too. */
const shared: BertArchitecture = { ...goldenArchitecture, layerPlan: [0, 0] };
const values = new Map<string, Tensor>(encoderParameters(shared).map(({ name, shape }) => [name, uniform(shape)]));
const ids = tensorOf(
  'int64',
  [rows, length],
  Array.from({ length: rows * length }, () => random.integer(97)),
);

async function scores(swappedDepths: readonly number[], matrix: readonly (number | string)[]) {
  const g = new GraphBuilder();
  const parameters = new Map([...values].map(([name, value]) => [name, g.initializer(name, value)]));
  const { attentionScores } = bertEncoder(g, { ...shared, swappedDepths }, (name) => parameters.get(name)!, {
    inputIds: g.input('ids', 'int64', matrix),
    attentionMask: g.input('mask', 'int64', matrix),
    tokenTypeIds: g.input('types', 'int64', matrix),
  });
  attentionScores.forEach((value, depth) => g.output(`scores.${depth}`, value));
  const ones = tensorOf('int64', ids.dims, new Array<number>(rows * length).fill(1));
  const results = await (
    await runModel(modelOf(g.build('encoder')))
  )(new Map([['ids', ids], ['mask', ones], ['types', ones]])); // prettier-ignore
  return results as Record<`scores.${0 | 1}`, Tensor<'float32'>>;
}

/** The last two dimensions exchanged. */
function transposed({ dims, data }: Tensor<'float32'>): Float32Array {
  const size = dims.at(-1) as number;
  return data.map((_, i) => {
    const [matrix, row, column] = [Math.floor(i / size ** 2), Math.floor(i / size) % size, i % size];
    return data[matrix * size ** 2 + column * size + row] as number;
  });
}

describe('at a swapped depth, scores are the transpose of those without', () => {
  for (const [what, matrix] of Object.entries({ 'static shapes': [rows, length], 'symbolic shapes': ['b', 's'] }))
    it(what, async () => {
      const [plain, first, last] = [await scores([], matrix), await scores([0], matrix), await scores([1], matrix)];
      assert.notDeepEqual(plain['scores.0'].data, transposed(plain['scores.0']));
      assert.deepEqual(first['scores.0'].data, transposed(plain['scores.0']));
      // The depth below is the same, and so the input of the swapped one.
      assert.deepEqual(last['scores.0'].data, plain['scores.0'].data);
      assert.deepEqual(last['scores.1'].data, transposed(plain['scores.1']));
    });
});

it('only query and key change places', () => {
  const name = (part: string) => `bert.encoder.layer.1.attention.${part}`;
  assert.equal(swappedName(name('self.query.weight')), name('self.key.weight'));
  assert.equal(swappedName(name('self.key.bias')), name('self.query.bias'));
  for (const part of ['self.value.weight', 'output.dense.bias']) assert.equal(swappedName(name(part)), name(part));
});
