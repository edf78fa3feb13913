/** Rounded weights against the same arithmetic written out in plain numbers. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import { fakeQuantized, type WeightRounding } from '../../src/nn/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';
import { runModel } from '../support/run-model.ts';
import { seeded } from '../support/seeded.ts';

async function rounded(weight: Tensor<'float32'>, rounding: WeightRounding): Promise<Float32Array> {
  const g = new GraphBuilder();
  g.output('y', fakeQuantized(g, g.input('w', 'float32', weight.dims), rounding));
  const results = await (await runModel(modelOf(g.build('rounding'))))(new Map([['w', weight]]));
  return results['y']?.data as Float32Array;
}

function random(inputs: number, outputs: number): Tensor<'float32'> {
  const source = seeded(3);
  const values = Array.from({ length: inputs * outputs }, () => source.float() - 0.5);
  return tensorOf('float32', [inputs, outputs], values);
}

/** Half to even, as ONNX rounds. */
function round(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

/** Column of a matrix. */
function column({ dims, data }: Tensor<'float32'>, at: number): number[] {
  const [inputs, outputs] = dims as [number, number];
  return Array.from({ length: inputs }, (_, i) => data[i * outputs + at] as number);
}

function assertNear(actual: readonly number[], expected: readonly number[]): void {
  actual.forEach((value, i) => assert.ok(Math.abs(value - (expected[i] as number)) < 1e-6, `${i}: ${value}`));
}

describe('rounded weights', () => {
  for (const bits of [7, 8] as const)
    it(`${bits} bits with a scale per output`, async () => {
      const weight = random(9, 4);
      const actual = { ...weight, data: await rounded(weight, { kind: 'channels', bits }) };
      for (let at = 0; at < 4; at++) {
        const values = column(weight, at);
        const scale = Math.fround(Math.max(...values.map(Math.abs)) / (2 ** (bits - 1) - 1));
        assertNear(
          column(actual, at),
          values.map((value) => round(value / scale) * scale),
        );
      }
    });

  it('4 bits in blocks, the last one shorter; the extreme of a block is exact', async () => {
    const weight = random(40, 3);
    const actual = { ...weight, data: await rounded(weight, { kind: 'blocks', bits: 4, block: 16 }) };
    for (let at = 0; at < 3; at++) {
      const [values, found] = [column(weight, at), column(actual, at)];
      for (let start = 0; start < 40; start += 16) {
        const block = values.slice(start, start + 16);
        const extreme = block.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
        const scale = extreme / -8;
        const expected = block.map((value) => Math.min(7, Math.max(-8, round(value / scale))) * scale);
        assertNear(found.slice(start, start + 16), expected);
        assert.ok(Math.abs((found[start + block.indexOf(extreme)] as number) - extreme) < 1e-7);
      }
    }
  });

  it('zeros stay zeros', async () => {
    const weight = tensorOf('float32', [32, 2], new Array<number>(64).fill(0));
    for (const rounding of [
      { kind: 'channels', bits: 8 },
      { kind: 'blocks', bits: 4, block: 16 },
    ] as const)
      assert.deepEqual([...(await rounded(weight, rounding))], [...weight.data]);
  });
});
