/** Small models for engine tests. */
import {
  modelOf,
  tensorOf,
  type Attribute,
  type Dim,
  type DType,
  type Model,
  type Node,
  type Tensor,
  type ValueInfo,
} from '../../src/graph/index.ts';

type Port = readonly [name: string, dtype: DType, shape: readonly Dim[]];
type NodeSpec = readonly [output: string, opType: string, inputs: string, attributes?: Record<string, Attribute>];

export interface ModelSpec {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Inputs of a node are given as one string, separated by spaces. */
  readonly nodes: readonly NodeSpec[];
  readonly initializers?: Readonly<Record<string, Tensor>>;
}

export function model(spec: ModelSpec): Model {
  const infoOf = ([name, dtype, shape]: Port): ValueInfo => ({ name, dtype, shape });
  return modelOf({
    name: 'test',
    inputs: spec.inputs.map(infoOf),
    outputs: spec.outputs.map(infoOf),
    initializers: new Map(Object.entries(spec.initializers ?? {})),
    values: new Map(),
    nodes: spec.nodes.map(([output, opType, inputs, attributes = {}]): Node => ({
      name: '',
      opType,
      domain: '',
      inputs: inputs.split(' '),
      outputs: [output],
      attributes,
    })),
  });
}

export const int = (value: number): Attribute => ({ type: 'int', value });
export const string = (value: string): Attribute => ({ type: 'string', value });

export const f32 = (values: readonly number[], dims: readonly number[] = [values.length]) =>
  tensorOf('float32', dims, values);
export const i64 = (values: readonly number[], dims: readonly number[] = [values.length]) =>
  tensorOf('int64', dims, values);

/** y = w + x, to be assigned to w. */
export const accumulate = model({
  inputs: [
    ['w', 'float32', [2]],
    ['x', 'float32', [2]],
  ],
  outputs: [['y', 'float32', [2]]],
  nodes: [['y', 'Add', 'w x']],
});

/** `count` products of [n, n] matrices, one after the other: a run that takes a while. */
export function matrixChain(n: number, count: number): Model {
  return model({
    inputs: [['x', 'float32', [n, n]]],
    outputs: [['y', 'float32', [n, n]]],
    nodes: Array.from({ length: count }, (_, i): NodeSpec => {
      const from = i === 0 ? 'x' : `y${i}`;
      return [i === count - 1 ? 'y' : `y${i + 1}`, 'MatMul', `${from} x`];
    }),
  });
}

/**
 * A step of momentum descent on a linear model with an embedding, the mean squared error as loss:
 * h = table[ids] w; dh = 2 (h - target) / n; the table's gradient is scattered with repeated rows.
 */
export const trainingStep = model({
  inputs: [
    ['ids', 'int64', [64]],
    ['target', 'float32', [64, 32]],
    ['table', 'float32', [50, 48]],
    ['w', 'float32', [48, 32]],
    ['m', 'float32', [48, 32]],
  ],
  outputs: [
    ['loss', 'float32', []],
    ['table2', 'float32', [50, 48]],
    ['w2', 'float32', [48, 32]],
    ['m2', 'float32', [48, 32]],
  ],
  initializers: {
    scale: f32([2 / (64 * 32)], []),
    rate: f32([0.05], []),
    decay: f32([0.9], []),
    zeros: tensorOf('float32', [50, 48], new Float32Array(50 * 48)),
    rows: i64([64, 1]),
    wide: i64([64, 48]),
  },
  nodes: [
    ['e', 'Gather', 'table ids'],
    ['h', 'MatMul', 'e w'],
    ['d', 'Sub', 'h target'],
    ['dd', 'Mul', 'd d'],
    ['loss', 'ReduceMean', 'dd', { keepdims: int(0) }],
    ['dh', 'Mul', 'd scale'],
    ['dw', 'Gemm', 'e dh', { transA: int(1) }],
    ['de', 'Gemm', 'dh w', { transB: int(1) }],
    ['column', 'Reshape', 'ids rows'],
    ['indices', 'Expand', 'column wide'],
    ['dtable', 'ScatterElements', 'zeros indices de', { axis: int(0), reduction: string('add') }],
    ['stable', 'Mul', 'dtable rate'],
    ['table2', 'Sub', 'table stable'],
    ['md', 'Mul', 'm decay'],
    ['m2', 'Add', 'md dw'],
    ['sw', 'Mul', 'm2 rate'],
    ['w2', 'Sub', 'w sw'],
  ],
});
