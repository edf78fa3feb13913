/** Valid files that our own writer does not write, and valid files that kdx does not take in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '../../src/graph/index.ts';
import { decodeModel, encodeModel } from '../../src/onnx/index.ts';
import { proto, type onnx } from '../../src/onnx/proto.ts';
import { linear, rawInfo, rawModel } from './samples.ts';

const identity: onnx.INodeProto = { opType: 'Identity', input: ['t'], output: ['y'] };

function decodeTensor(initializer: onnx.ITensorProto): Tensor | undefined {
  const graph = { node: [identity], output: [rawInfo('y')], initializer: [{ name: 't', ...initializer }] };
  return decodeModel(rawModel(graph)).graph.initializers.get('t');
}

const long = (high: number, low: number): number => high * 2 ** 32 + low;
const typed: Record<string, [onnx.ITensorProto, ArrayLike<unknown>]> = {
  float32: [{ dataType: 1, floatData: [0.5, -2] }, Float32Array.of(0.5, -2)],
  uint8: [{ dataType: 2, int32Data: [0, 255] }, Uint8Array.of(0, 255)],
  int8: [{ dataType: 3, int32Data: [-128, 127] }, Int8Array.of(-128, 127)],
  uint16: [{ dataType: 4, int32Data: [0, 65535] }, Uint16Array.of(0, 65535)],
  int16: [{ dataType: 5, int32Data: [-32768, 1] }, Int16Array.of(-32768, 1)],
  int32: [{ dataType: 6, int32Data: [-(2 ** 31), 5] }, Int32Array.of(-(2 ** 31), 5)],
  int64: [
    { dataType: 7, int64Data: [long(-1, 5), long(3, 7)] },
    BigInt64Array.of(-(2n ** 32n) + 5n, 3n * 2n ** 32n + 7n),
  ],
  string: [{ dataType: 8, stringData: [Buffer.from('a'), Buffer.from('ß')] }, ['a', 'ß']],
  bool: [{ dataType: 9, int32Data: [0, 1] }, Uint8Array.of(0, 1)],
  float16: [{ dataType: 10, int32Data: [0x3c00, 0xc000] }, Uint16Array.of(0x3c00, 0xc000)],
  float64: [{ dataType: 11, doubleData: [0.1, -1e300] }, Float64Array.of(0.1, -1e300)],
  uint32: [{ dataType: 12, uint64Data: [2 ** 32 - 1, 1] }, Uint32Array.of(2 ** 32 - 1, 1)],
  uint64: [{ dataType: 13, uint64Data: [long(3, 7), 1] }, BigUint64Array.of(3n * 2n ** 32n + 7n, 1n)],
  bfloat16: [{ dataType: 16, int32Data: [0x3f80, 0x8000] }, Uint16Array.of(0x3f80, 0x8000)],
  uint4: [{ dataType: 21, int32Data: [0x21, 0x43] }, Uint8Array.of(0x21, 0x43)],
  int4: [{ dataType: 22, int32Data: [0xf1, 0x0e] }, Uint8Array.of(0xf1, 0x0e)],
};
for (const [dtype, [message, data]] of Object.entries(typed))
  test(`typed data: ${dtype}`, () => {
    // Two numbers hold four elements of a 4-bit type; with three the last nibble is padding.
    const dims = dtype.endsWith('int4') ? [3] : [2];
    assert.deepEqual(decodeTensor({ ...message, dims }), { dtype, dims, data });
  });

test('lists of numbers are read packed and unpacked', () => {
  // field 1 (dims) twice unpacked, field 2 = FLOAT, field 4 (float_data) unpacked twice.
  const tensorBytes = [0x08, 2, 0x08, 1, 0x10, 1, 0x25, 0, 0, 0x80, 0x3f, 0x25, 0, 0, 0, 0x40, 0x42, 1, 0x74];
  const graph = { name: 'g', node: [identity], output: [rawInfo('y')] };
  const graphBytes = [...proto.GraphProto.encode(graph).finish(), 0x2a, tensorBytes.length, ...tensorBytes];
  const head = proto.ModelProto.encode({ irVersion: 8, opsetImport: [{ version: 17 }] }).finish();
  const model = decodeModel(Uint8Array.from([...head, 0x3a, graphBytes.length, ...graphBytes]));
  assert.deepEqual(model.graph.initializers.get('t'), { dtype: 'float32', dims: [2, 1], data: Float32Array.of(1, 2) });
});

test('a dimension without a size, or of size -1, is a symbol of its own', () => {
  const input = [rawInfo('t', 1, [{}, { dimValue: -1 }, { dimParam: 'n' }, { dimValue: 0 }, {}])];
  const model = decodeModel(rawModel({ node: [identity], input, output: [rawInfo('y')] }));
  assert.deepEqual(model.graph.inputs[0]?.shape, ['t_dim_0', 't_dim_1', 'n', 0, 't_dim_4']);
  assert.deepEqual(decodeModel(encodeModel(model).bytes), model);
});

test('nodes are put into topological order, those in order stay as they are', () => {
  const model = linear();
  const { bytes } = encodeModel({ ...model, graph: { ...model.graph } });
  const message = proto.ModelProto.decode(bytes);
  message.graph?.node?.reverse();
  assert.deepEqual(decodeModel(proto.ModelProto.encode(message).finish()), model);
});

test('the domain ai.onnx is the standard one; a Constant stays a node; unknown values are left out', () => {
  const value: onnx.ITensorProto = { dims: [1], dataType: 1, floatData: [2] };
  const graph: onnx.IGraphProto = {
    node: [{ opType: 'Constant', domain: 'ai.onnx', output: ['y'], attribute: [{ name: 'value', type: 4, t: value }] }],
    output: [rawInfo('y')],
    valueInfo: [{ name: 'y', type: { sequenceType: { elemType: rawInfo('').type ?? {} } } }, rawInfo('z', 17)],
  };
  const model = decodeModel(rawModel(graph, { opsetImport: [{ domain: 'ai.onnx', version: 13 }] }));
  assert.deepEqual(model.opsets, { '': 13 });
  assert.equal(model.graph.values.size, 0);
  const attribute = { type: 'tensor', value: { dtype: 'float32', dims: [1], data: Float32Array.of(2) } };
  const expected = {
    name: '',
    opType: 'Constant',
    domain: '',
    inputs: [],
    outputs: ['y'],
    attributes: { value: attribute },
  };
  assert.deepEqual(model.graph.nodes, [expected]);
});

test('names that JavaScript objects treat specially are plain keys', () => {
  const attribute = [{ name: '__proto__', type: 2, i: 1 }];
  const graph = { node: [{ ...identity, attribute }], input: [rawInfo('t')], output: [rawInfo('y')] };
  const model = decodeModel(rawModel(graph, { metadataProps: [{ key: '__proto__', value: 'v' }] }));
  assert.deepEqual(Object.entries(model.metadata), [['__proto__', 'v']]);
  assert.deepEqual(Object.keys(model.graph.nodes[0]?.attributes ?? {}), ['__proto__']);
});

const withAttribute = (attribute: onnx.IAttributeProto) =>
  rawModel({ node: [{ ...identity, attribute: [attribute] }], input: [rawInfo('t')], output: [rawInfo('y')] });
const withTensor = (initializer: onnx.ITensorProto) =>
  rawModel({ node: [identity], output: [rawInfo('y')], initializer: [{ name: 't', ...initializer }] });
const plain: onnx.IGraphProto = { node: [identity], input: [rawInfo('t')], output: [rawInfo('y')] };

const refused: Record<string, [string, RegExp, Uint8Array]> = {
  'local functions': ['unsupported-onnx', /local functions \(Gelu/, rawModel(plain, { functions: [{ name: 'Gelu' }] })],
  'sparse initializers': ['unsupported-onnx', /sparse/, rawModel({ ...plain, sparseInitializer: [{ dims: [1] }] })],
  segments: ['unsupported-onnx', /segments/, withTensor({ dataType: 1, segment: { begin: 0, end: 1 } })],
  'float8 data': ['unsupported-onnx', /tensor t has ONNX element type 17/, withTensor({ dataType: 17 })],
  'an input that is a sequence': [
    'unsupported-onnx',
    /input "t" is not typed as a tensor/,
    rawModel({ ...plain, input: [{ name: 't', type: { sequenceType: {} } }] }),
  ],
  'an attribute of type TENSORS': ['unsupported-onnx', /attribute type 9/, withAttribute({ name: 'a', type: 9 })],
  'text that is not UTF-8': [
    'unsupported-onnx',
    /UTF-8/,
    withAttribute({ name: 'a', type: 3, s: Uint8Array.of(0xff) }),
  ],
  'an integer beyond 2^53': [
    'corrupt-onnx',
    /attribute a of node Identity/,
    withAttribute({ name: 'a', type: 2, i: 2 ** 53 }),
  ],
  'an attribute without type': [
    'corrupt-onnx',
    /attribute a of node Identity has no type/,
    withAttribute({ name: 'a' }),
  ],
  'an attribute without its tensor': ['corrupt-onnx', /has no tensor/, withAttribute({ name: 'a', type: 4 })],
  'an attribute twice': [
    'corrupt-onnx',
    /repeats attribute "a"/,
    rawModel({
      ...plain,
      node: [
        {
          ...identity,
          attribute: [
            { name: 'a', type: 2 },
            { name: 'a', type: 2 },
          ],
        },
      ],
    }),
  ],
  'a node without operator': [
    'corrupt-onnx',
    /no operator/,
    rawModel({ ...plain, node: [{ input: ['t'], output: ['y'] }] }),
  ],
  'two initializers of a name': [
    'corrupt-onnx',
    /two initializers t/,
    rawModel({
      ...plain,
      initializer: [
        { name: 't', dataType: 1, rawData: new Uint8Array(4) },
        { name: 't', dataType: 1, rawData: new Uint8Array(4) },
      ],
    }),
  ],
  'too little raw data': [
    'corrupt-onnx',
    /tensor t is float32\[2,2\], needs 16 bytes and has 12/,
    withTensor({ dims: [2, 2], dataType: 1, rawData: new Uint8Array(12) }),
  ],
  'too much typed data': [
    'corrupt-onnx',
    /needs 1 numbers and has 2/,
    withTensor({ dataType: 7, dims: [1], int64Data: [1, 2] }),
  ],
  'a negative dimension': ['corrupt-onnx', /\[-1,4\]/, withTensor({ dataType: 1, dims: [-1, 4] })],
  'a huge dimension': ['corrupt-onnx', /needs .* bytes and has 0/, withTensor({ dataType: 1, dims: [2 ** 40] })],
  'dimensions whose product overflows': [
    'corrupt-onnx',
    /too many elements/,
    withTensor({ dataType: 1, dims: [2 ** 32, 2 ** 32] }),
  ],
  'strings as raw data': [
    'corrupt-onnx',
    /strings as raw data/,
    withTensor({ dataType: 8, rawData: new Uint8Array(1) }),
  ],
  'external data without a folder': [
    'unsupported-onnx',
    /read without a folder/,
    withTensor({ dataType: 1, dataLocation: 1, externalData: [{ key: 'location', value: 'd' }] }),
  ],
  'no opset': ['corrupt-onnx', /no opset/, rawModel(plain, { opsetImport: [] })],
  'two opsets of a domain': [
    'corrupt-onnx',
    /two opset/,
    rawModel(plain, { opsetImport: [{ version: 1 }, { version: 2 }] }),
  ],
  'no IR version': ['corrupt-onnx', /IR version/, rawModel(plain, { irVersion: null })],
  'no graph': ['corrupt-onnx', /no graph/, rawModel(plain, { graph: null })],
  'an empty file': ['corrupt-onnx', /no graph/, new Uint8Array()],
  'a Git LFS pointer': ['corrupt-onnx', /Git LFS/, Buffer.from('version https://git-lfs.github.com/spec/v1\n')],
  'a PNG': ['corrupt-onnx', /not an ONNX model/, Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1')],
  'a cycle': [
    'invalid-graph',
    /file\.onnx: .*cycle/,
    rawModel({
      node: [
        { opType: 'Neg', input: ['b'], output: ['a'] },
        { opType: 'Neg', input: ['a'], output: ['b'] },
      ],
    }),
  ],
  'a value that nothing makes': ['invalid-graph', /file\.onnx: .*"t"/, rawModel({ ...plain, input: [] })],
};
for (const [name, [code, message, bytes]] of Object.entries(refused))
  test(`refused: ${name}`, () => {
    const options = { file: 'file.onnx' };
    assert.throws(() => decodeModel(bytes, options), { name: 'KdxError', code, message });
    assert.throws(() => decodeModel(bytes, options), /file\.onnx/);
  });
