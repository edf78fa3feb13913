/**
 * What each operator of the standard domain takes and gives, at opset 17. The map of entries is total over these keys.
 * Only operators that kdx itself emits are listed; any other operator may appear in a model that is read from a file.
 */
import type { DType, Tensor } from '../graph/index.ts';
import type { Value } from './value.ts';

interface Signature<Inputs extends readonly (Value | undefined)[], Attributes extends object = object, Outputs = 1> {
  readonly inputs: Inputs;
  readonly attributes: Attributes;
  readonly outputs: Outputs;
}

type Unary = Signature<[x: Value]>;
type Binary = Signature<[a: Value, b: Value]>;
type AxesReduction = Signature<[x: Value], { axes: readonly number[]; keepdims?: number }>;

export interface Signatures {
  // elementwise
  Abs: Unary;
  Add: Binary;
  And: Binary;
  Cast: Signature<[x: Value], { to: DType }>;
  Div: Binary;
  Equal: Binary;
  Exp: Unary;
  Greater: Binary;
  Identity: Unary;
  Less: Binary;
  Log: Unary;
  Max: Binary;
  Min: Binary;
  Mul: Binary;
  Neg: Unary;
  Not: Unary;
  Or: Binary;
  Pow: Binary;
  Reciprocal: Unary;
  Round: Unary;
  Sqrt: Unary;
  Sub: Binary;
  Where: Signature<[condition: Value, a: Value, b: Value]>;
  // activation
  Erf: Unary;
  Relu: Unary;
  Sigmoid: Unary;
  Softmax: Signature<[x: Value], { axis: number }>;
  Tanh: Unary;
  // matmul
  Gemm: Signature<
    [a: Value, b: Value, c?: Value | undefined],
    { alpha?: number; beta?: number; transA?: number; transB?: number }
  >;
  MatMul: Binary;
  // reduce
  ReduceLogSumExp: AxesReduction;
  ReduceMax: AxesReduction;
  ReduceMean: AxesReduction;
  ReduceSum: Signature<[x: Value, axes: Value], { keepdims?: number }>;
  ReduceSumSquare: AxesReduction;
  // normalize
  LayerNormalization: Signature<[x: Value, scale: Value, bias: Value], { axis: number; epsilon: number }, 3>;
  // layout
  Concat: Signature<readonly Value[], { axis: number }>;
  ConstantOfShape: Signature<[shape: Value], { value: Tensor }>;
  Expand: Signature<[x: Value, shape: Value]>;
  Pad: Signature<[x: Value, pads: Value, value: Value]>;
  Reshape: Signature<[x: Value, shape: Value]>;
  Shape: Signature<[x: Value], { start?: number; end?: number }>;
  Slice: Signature<[x: Value, starts: Value, ends: Value, axes: Value]>;
  Squeeze: Signature<[x: Value, axes: Value]>;
  Transpose: Signature<[x: Value], { perm: readonly number[] }>;
  Unsqueeze: Signature<[x: Value, axes: Value]>;
  // gather
  Gather: Signature<[data: Value, indices: Value], { axis: number }>;
  GatherElements: Signature<[data: Value, indices: Value], { axis: number }>;
  ScatterElements: Signature<
    [data: Value, indices: Value, updates: Value],
    { axis: number; reduction?: 'none' | 'add' }
  >;
}

export type OpType = keyof Signatures;
export type InputsOf<T extends OpType> = Signatures[T]['inputs'];
export type AttributesOf<T extends OpType> = Signatures[T]['attributes'];
export type OutputCount<T extends OpType> = Signatures[T]['outputs'];
