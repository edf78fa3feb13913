/** Tensors as plain data. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  allocate,
  byteLength,
  bytesOf,
  dtypeBits,
  dtypeCodes,
  elementCount,
  numbersOf,
  tensor,
  tensorOf,
  viewBytes,
  type DType,
} from '../../src/graph/index.ts';
import { proto } from '../../src/onnx/proto.ts';

type Fixed = Exclude<DType, 'string'>;
const fixed = Object.keys(dtypeBits) as Fixed[];

describe('sizes', () => {
  const counts: readonly [readonly number[], number][] = [
    [[], 1],
    [[3], 3],
    [[2, 3, 4], 24],
    [[2, 0], 0],
  ];
  for (const [dims, count] of counts)
    it(`elements of [${dims.join(',')}]`, () => assert.equal(elementCount(dims), count));

  const bytes: readonly [Fixed, readonly number[], number][] = [
    ['float32', [2, 3], 24],
    ['float16', [3], 6],
    ['bool', [5], 5],
    ['int64', [], 8],
    ['int4', [], 1],
    ['int4', [3], 2],
    ['uint4', [2, 2], 2],
    ['uint4', [0], 0],
  ];
  for (const [dtype, dims, length] of bytes)
    it(`bytes of ${dtype} [${dims.join(',')}]`, () => {
      assert.equal(byteLength(dtype, dims), length);
      assert.equal(bytesOf(tensor(dtype, dims, allocate(dtype, elementCount(dims)))).length, length);
    });

  it('of strings are not known', () => {
    assert.throws(() => byteLength('string', [1]), /internal: a string tensor/);
    assert.throws(() => bytesOf(tensor('string', [1], ['a'])), /internal: a string tensor/);
  });
});

it('type numbers are those of TensorProto', () => {
  const names: Partial<Record<DType, string>> = { float32: 'FLOAT', float64: 'DOUBLE' };
  const { int4, uint4, ...older } = dtypeCodes;
  assert.deepEqual([uint4, int4], [21, 22]);
  for (const [dtype, code] of Object.entries(older) as [DType, number][])
    assert.equal(proto.TensorProto.DataType[code], names[dtype] ?? dtype.toUpperCase());
});

describe('viewBytes', () => {
  for (const dtype of fixed)
    it(`sees ${dtype} wherever the bytes begin`, () => {
      const size = allocate(dtype, 2).BYTES_PER_ELEMENT;
      const content = Uint8Array.from({ length: 2 * size }, (_, i) => i + 1);
      for (let offset = 0; offset < size; offset++) {
        const memory = Buffer.alloc(32);
        memory.set(content, offset);
        const bytes = memory.subarray(offset, offset + content.length);
        const view = viewBytes(dtype, bytes);
        assert.deepEqual(new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength), content);
        memory[offset] = 99;
        const isView = bytesOf({ dtype, dims: [view.length], data: view })[0] === 99;
        assert.equal(isView, bytes.byteOffset % size === 0, 'copied only when it is not aligned');
      }
    });

  it('refuses half an element', () =>
    assert.throws(() => viewBytes('float32', new Uint8Array(6)), /internal: 6 bytes are not whole float32 elements/));
});

describe('tensors of numbers', () => {
  it('int64 and uint64 become bigint and come back', () => {
    const value = tensorOf('int64', [2], [-1, 2 ** 53]);
    assert.deepEqual(value.data, BigInt64Array.of(-1n, 2n ** 53n));
    assert.deepEqual(numbersOf(value), [-1, 2 ** 53]);
    assert.deepEqual(tensorOf('uint64', [], [7]).data, BigUint64Array.of(7n));
  });

  it('other types are rounded to what they hold', () => {
    assert.deepEqual(numbersOf(tensorOf('float32', [2], [0.1, -0])), [Math.fround(0.1), -0]);
    assert.deepEqual(numbersOf(tensorOf('bool', [2], [1, 0])), [1, 0]);
  });

  const mistakes: Readonly<Record<string, readonly [() => unknown, RegExp]>> = {
    'too few elements': [
      () => tensorOf('float32', [2, 2], [1, 2, 3]),
      /float32 tensor \[2,2\] needs 4 elements, got 3/,
    ],
    'too few bytes of 4-bit elements': [() => tensor('int4', [3], new Uint8Array(1)), /needs 2 elements, got 1/],
    'a fraction in int64': [() => tensorOf('int64', [1], [0.5]), /0\.5/],
    'numbers of text': [() => numbersOf(tensor('string', [1], ['1'])), /no numbers in string/],
    'numbers of packed elements': [() => numbersOf(tensor('uint4', [2], new Uint8Array(1))), /no numbers in uint4/],
    'numbers of raw bits': [() => numbersOf(tensor('bfloat16', [1], new Uint16Array(1))), /bfloat16 holds raw bits/],
  };
  for (const [title, [make, message]] of Object.entries(mistakes)) it(title, () => assert.throws(make, message));
});
