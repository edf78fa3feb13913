/** float16, bfloat16 and float64 as float32. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toFloat32 } from '../../src/checkpoint/index.ts';
import { tensor, tensorOf } from '../../src/graph/index.ts';

test('float16 is exact, with subnormals, signed zero and infinities', () => {
  const cases: readonly (readonly [bits: number, value: number])[] = [
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x83ff, -1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3c00, 1],
    [0x3c01, 1 + 2 ** -10],
    [0xc000, -2],
    [0x3555, 0.333251953125],
    [0x7bff, 65504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
    [0x7e00, NaN],
  ];
  const { dtype, dims, data } = toFloat32(
    tensor(
      'float16',
      [cases.length],
      Uint16Array.from(cases, ([bits]) => bits),
    ),
  );
  assert.equal(dtype, 'float32');
  assert.deepEqual(dims, [cases.length]);
  assert.deepEqual(
    [...data],
    cases.map(([, value]) => value),
  );
});

test('bfloat16 is the upper half of a float32', () => {
  const bits = Uint16Array.of(0x3f80, 0xbf80, 0x8000, 0x0001, 0x7f80, 0x4049);
  const { data } = toFloat32(tensor('bfloat16', [2, 3], bits));
  assert.deepEqual([...data], [1, -1, -0, 2 ** -133, Infinity, 3.140625]);
});

test('float64 is rounded to nearest, float32 is not copied, integers are refused', () => {
  assert.deepEqual([...toFloat32(tensorOf('float64', [2], [0.1, 1e300])).data], [Math.fround(0.1), Infinity]);
  const same = tensorOf('float32', [1], [1]);
  assert.equal(toFloat32(same), same);
  assert.throws(() => toFloat32(tensorOf('int32', [1], [1])), /internal: int32/);
});
