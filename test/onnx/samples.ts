/** Models that the tests of the ONNX border share. */
import { modelOf, tensor, tensorOf } from '../../src/graph/index.ts';
import type { Attribute, DType, Graph, Model, Node, Tensor, ValueInfo } from '../../src/graph/index.ts';
import { proto, type onnx } from '../../src/onnx/proto.ts';

export function node(opType: string, inputs: string[], outputs: string[], attributes: Node['attributes'] = {}): Node {
  return { name: '', opType, domain: '', inputs, outputs, attributes };
}

export function info(name: string, shape: ValueInfo['shape'], dtype: DType = 'float32'): ValueInfo {
  return { name, dtype, shape };
}

export function graphOf(parts: Partial<Graph>): Graph {
  return { name: 'sample', inputs: [], outputs: [], initializers: new Map(), nodes: [], values: new Map(), ...parts };
}

/** y = Relu(x W + b), x: [batch, inner], W: [inner, outer] counting up from 0. */
export function linear(inner = 2, outer = 3): Model {
  const weight = tensorOf(
    'float32',
    [inner, outer],
    Float32Array.from({ length: inner * outer }, (_, i) => i),
  );
  const bias = tensorOf('float32', [outer], new Float32Array(outer).fill(-1));
  const graph = graphOf({
    inputs: [info('x', ['batch', inner])],
    outputs: [info('y', ['batch', outer])],
    initializers: new Map([
      ['W', weight],
      ['b', bias],
    ]),
    nodes: [node('MatMul', ['x', 'W'], ['xW']), node('Add', ['xW', 'b'], ['z']), node('Relu', ['z'], ['y'])],
    values: new Map([['xW', info('xW', undefined)]]),
  });
  return modelOf(graph, { made: 'by a test' });
}

/** One tensor of each element type, of shape [3] but for the scalar and the empty one. */
export const tensors: readonly Tensor[] = [
  tensor('float32', [3], Float32Array.of(0.5, -0, NaN)),
  tensor('float64', [3], Float64Array.of(1e300, -0, Infinity)),
  tensor('float16', [3], Uint16Array.of(0x3c00, 0xffff, 0)),
  tensor('bfloat16', [3], Uint16Array.of(0x3f80, 0xffff, 0)),
  tensor('int4', [3], Uint8Array.of(0xf1, 0x07)),
  tensor('uint4', [3], Uint8Array.of(0x21, 0x0f)),
  tensor('int8', [3], Int8Array.of(-128, 0, 127)),
  tensor('uint8', [3], Uint8Array.of(0, 1, 255)),
  tensor('int16', [3], Int16Array.of(-32768, 0, 32767)),
  tensor('uint16', [3], Uint16Array.of(0, 1, 65535)),
  tensor('int32', [3], Int32Array.of(-(2 ** 31), 0, 2 ** 31 - 1)),
  tensor('uint32', [3], Uint32Array.of(0, 1, 2 ** 32 - 1)),
  tensor('int64', [3], BigInt64Array.of(-(2n ** 63n), -1n, 2n ** 63n - 1n)),
  tensor('uint64', [3], BigUint64Array.of(0n, 1n, 2n ** 64n - 1n)),
  tensor('bool', [3], Uint8Array.of(0, 1, 1)),
  tensor('string', [3], ['', 'ä€😀', '\uFEFFx']),
  tensor('float32', [], Float32Array.of(7)),
  tensor('int64', [2, 0], new BigInt64Array()),
];

const branch = (name: string, factor: number): Attribute => ({
  type: 'graph',
  value: graphOf({
    name,
    outputs: [info(`${name}_out`, [2])],
    initializers: new Map([[`${name}_factor`, tensorOf('float32', [], [factor])]]),
    nodes: [node('Mul', ['x', `${name}_factor`], [`${name}_out`])],
  }),
});

/** Everything that a model can hold at once: all element and attribute types, subgraphs, a custom domain. */
export function everything(): Model {
  const graph = graphOf({
    inputs: [info('x', [2]), info('flag', [], 'bool'), info('rankless', undefined)],
    outputs: [info('y', [2]), info('custom', ['n', 4])],
    initializers: new Map(tensors.map((value, i) => [`t${i}`, value])),
    nodes: [
      node('If', ['flag'], ['y'], { then_branch: branch('twice', 2), else_branch: branch('thrice', 3) }),
      {
        ...node('Thing', ['x', '', 't0'], ['custom'], {
          int: { type: 'int', value: -3 },
          zero: { type: 'int', value: 0 },
          big: { type: 'int', value: Number.MAX_SAFE_INTEGER },
          float: { type: 'float', value: 0.5 },
          text: { type: 'string', value: 'grüße' },
          none: { type: 'string', value: '' },
          ints: { type: 'ints', value: [1, -2, Number.MIN_SAFE_INTEGER] },
          empty: { type: 'ints', value: [] },
          floats: { type: 'floats', value: [1.5, -0.25] },
          texts: { type: 'strings', value: ['a', ''] },
          tensor: { type: 'tensor', value: tensorOf('int64', [2], [5, -5]) },
        }),
        name: 'thing',
        domain: 'test.custom',
      },
    ],
  });
  return { ...modelOf(graph, { z: '1', a: '2' }), opsets: { '': 17, 'test.custom': 1 } };
}

/** Bytes of a model message whose graph is given, for what our own writer would not write. */
export function rawModel(graph: onnx.IGraphProto, rest: onnx.IModelProto = {}): Uint8Array {
  const whole = { irVersion: 8, opsetImport: [{ version: 17 }], graph: { name: 'raw', ...graph }, ...rest };
  return proto.ModelProto.encode(whole).finish();
}

/** Type of a tensor value in protobuf. */
export function rawInfo(name: string, elemType = 1, dim?: onnx.TensorShapeProto.IDimension[]): onnx.IValueInfoProto {
  return { name, type: { tensorType: dim ? { elemType, shape: { dim } } : { elemType } } };
}
