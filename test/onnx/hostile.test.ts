/** Damaged and hostile bytes: whatever they are, a model or a KdxError, soon and in little memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KdxError } from '../../src/errors/index.ts';
import { decodeModel, encodeModel } from '../../src/onnx/index.ts';
import { everything, linear, rawInfo, rawModel } from './samples.ts';

/** Marsaglia's xorshift32: the same mutations on every run. */
function randomSource(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function survives(bytes: Uint8Array, what: string): boolean {
  try {
    decodeModel(bytes, { file: 'fuzzed.onnx' });
    return true;
  } catch (error) {
    assert.ok(error instanceof KdxError, `${what}: ${(error as Error).stack}`);
    assert.match(error.message, /fuzzed\.onnx/, what);
    return false;
  }
}

test('a model that is cut off anywhere is refused', () => {
  const { bytes } = encodeModel(everything());
  assert.ok(survives(bytes, 'the whole'));
  for (let length = 0; length < bytes.length; length++)
    assert.equal(survives(bytes.subarray(0, length), `first ${length} bytes`), false, `first ${length} bytes`);
});

test('flipped, replaced, inserted and removed bytes: a model or a KdxError', () => {
  const { bytes } = encodeModel(everything());
  const random = randomSource(20240607);
  let refused = 0;
  for (let round = 0; round < 3000; round++) {
    const mutated = [...bytes];
    for (let changes = 1 + random(3); changes > 0; changes--) {
      const at = random(mutated.length);
      const kind = random(4);
      if (kind === 0) mutated[at] = (mutated[at] ?? 0) ^ (1 << random(8));
      else if (kind === 1) mutated[at] = random(2) === 0 ? 0xff : random(256);
      else if (kind === 2) mutated.splice(at, 0, random(256));
      else mutated.splice(at, 1 + random(8));
    }
    if (!survives(Uint8Array.from(mutated), `round ${round}`)) refused++;
  }
  assert.ok(refused > 1000, `only ${refused} of 3000 mutations were noticed`);
});

test('random bytes: a KdxError', () => {
  const random = randomSource(7);
  for (let round = 0; round < 300; round++)
    assert.equal(
      survives(
        Uint8Array.from({ length: random(200) }, () => random(256)),
        `round ${round}`,
      ),
      false,
    );
});

const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);

/** A field around bytes. */
function wrap(field: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.from([...varint((field << 3) | 2), ...varint(bytes.length)]), bytes]);
}

/** A model whose graph has one initializer of these bytes. */
const withTensorBytes = (bytes: Uint8Array): Uint8Array => wrap(7, wrap(5, bytes));

const lying: Record<string, [Uint8Array, RegExp]> = {
  'a part longer than the part around it': [
    withTensorBytes(Uint8Array.of(0x4a, 20, 1, 2)),
    /a part of 20 bytes where 2 are left/,
  ],
  'a length of 4 GB': [
    withTensorBytes(Uint8Array.of(0x4a, 0xff, 0xff, 0xff, 0xff, 0x0f)),
    /a part of 4294967295 bytes/,
  ],
  'a length beyond 32 bits': [withTensorBytes(Uint8Array.of(0x4a, 0xff, 0xff, 0xff, 0xff, 0x7f)), /too long/],
  'packed floats of 5 bytes': [withTensorBytes(Uint8Array.of(0x22, 5, 0, 0, 0, 0, 0)), /cut off/],
  'a packed integer that goes on': [withTensorBytes(Uint8Array.of(0x3a, 2, 0x80, 0x80)), /cut off/],
  'an integer of 11 bytes': [withTensorBytes(Uint8Array.of(0x08, ...Array<number>(10).fill(0x80), 0)), /too long/],
  'a 32-bit integer of 7 bytes': [withTensorBytes(Uint8Array.of(0x10, ...Array<number>(6).fill(0x80), 0)), /too long/],
  'a graph that is a number': [Uint8Array.of(0x38, 1), /field 7 of Model with wire type 0/],
  'a group': [Uint8Array.of(0xa3, 0x06), /wire type 3/],
  'field number 0': [Uint8Array.of(0x00, 0x00), /field number 0/],
};
for (const [name, [bytes, message]] of Object.entries(lying))
  test(`refused: ${name}`, () => {
    assert.throws(() => decodeModel(bytes), { name: 'KdxError', code: 'corrupt-onnx', message });
  });

test('absurd nesting of subgraphs and of types', () => {
  let graph: Uint8Array = new Uint8Array();
  let type: Uint8Array = new Uint8Array();
  for (let level = 0; level < 1500; level++) {
    graph = wrap(1, wrap(5, wrap(6, graph)));
    type = wrap(4, wrap(1, type));
  }
  assert.throws(() => decodeModel(wrap(7, graph)), { code: 'corrupt-onnx', message: /100 levels/ });
  assert.throws(() => decodeModel(wrap(7, wrap(11, wrap(2, type)))), { code: 'corrupt-onnx', message: /100 levels/ });
});

test('a small file that would decode to gigabytes of objects', () => {
  const emptyNodes = Buffer.alloc(2 * (2 ** 21 + 1), Uint8Array.of(0x0a, 0));
  assert.throws(() => decodeModel(wrap(7, emptyNodes)), { code: 'corrupt-onnx', message: /more than 2097152 fields/ });
  const zeros = withTensorBytes(wrap(7, new Uint8Array(2 ** 24 + 1)));
  assert.throws(() => decodeModel(zeros), { code: 'corrupt-onnx', message: /more numbers outside raw_data/ });
});

test('raw data is not walked: 64 MB of it decode as fast as they are copied', () => {
  const { bytes } = encodeModel(linear(4096, 4096));
  const start = performance.now();
  decodeModel(bytes);
  assert.ok(performance.now() - start < 2000);
});

test('a tensor that claims to be large without data takes no memory', () => {
  const before = process.memoryUsage().arrayBuffers;
  const initializer = [{ name: 't', dataType: 1, dims: [2 ** 20, 2 ** 20] }];
  assert.throws(() => decodeModel(rawModel({ initializer })), { code: 'corrupt-onnx' });
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
});

test('a subgraph that takes 300000 values from outside', () => {
  const reads = Array.from({ length: 300_000 }, () => 'x');
  const g = { name: 'g', node: [{ opType: 'Sum', input: reads, output: ['s'] }], output: [rawInfo('s')] };
  const node = [{ opType: 'If', input: ['x'], output: ['y'], attribute: [{ name: 'then_branch', type: 5, g }] }];
  survives(rawModel({ node, input: [rawInfo('x')], output: [rawInfo('y')] }), 'many captures');
});

test('more subgraphs than can be checked in a time that grows with the file', () => {
  const attribute = (i: number) => ({ name: `a${i}`, type: 5, g: { name: 'g', output: [rawInfo('x')] } });
  const branches = {
    opType: 'Branches',
    output: ['y'],
    attribute: Array.from({ length: 257 }, (_, i) => attribute(i)),
  };
  const model = rawModel({ node: [branches], input: [rawInfo('x')], output: [rawInfo('y')] });
  assert.throws(() => decodeModel(model), { code: 'unsupported-onnx', message: /more than 256 subgraphs/ });
});
