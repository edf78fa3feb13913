/** The part of TensorFlow.js that is used, so that this package compiles where none of its packages is installed. */

export type Held = 'float32' | 'int32' | 'bool';
export type TfArray = Float32Array | Int32Array | Uint8Array;

export interface TfTensor {
  readonly shape: number[];
  readonly dtype: Held;
  /** The backend's own array, or a copy of it. */
  dataSync(): TfArray;
  /** Another tensor over the same data. */
  clone(): TfTensor;
  dispose(): void;
}

type Unary = (x: TfTensor) => TfTensor;
type Binary = (a: TfTensor, b: TfTensor) => TfTensor;
type Reduction = (x: TfTensor, axes?: readonly number[], keepDims?: boolean) => TfTensor;

export interface TensorFlow {
  readonly version_core?: string;
  /** A release candidate of tfjs-node calls its versions so. */
  readonly version?: Readonly<Record<string, string>>;
  enableProdMode(): void;
  getBackend(): string;
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  backend(): object;
  memory(): { readonly numTensors: number };
  /** Disposes all tensors made inside, but those returned. */
  tidy<R extends readonly TfTensor[]>(make: () => R): R;

  tensor(values: TfArray | readonly number[], shape: readonly number[], dtype: Held): TfTensor;
  fill(shape: readonly number[], value: number, dtype: Held): TfTensor;
  range(start: number, stop: number, step: number, dtype: 'int32'): TfTensor;
  cast(x: TfTensor, dtype: Held): TfTensor;

  abs: Unary;
  erf: Unary;
  exp: Unary;
  log: Unary;
  neg: Unary;
  reciprocal: Unary;
  relu: Unary;
  round: Unary;
  rsqrt: Unary;
  sigmoid: Unary;
  sqrt: Unary;
  square: Unary;
  tanh: Unary;
  add: Binary;
  sub: Binary;
  mul: Binary;
  div: Binary;
  floorDiv: Binary;
  pow: Binary;
  maximum: Binary;
  minimum: Binary;
  equal: Binary;
  notEqual: Binary;
  greater: Binary;
  less: Binary;
  logicalAnd: Binary;
  logicalNot: Unary;
  logicalOr: Binary;
  where(condition: TfTensor, a: TfTensor, b: TfTensor): TfTensor;

  max: Reduction;
  mean: Reduction;
  sum: Reduction;
  logSumExp: Reduction;
  /** Over the last axis. */
  softmax: Unary;
  matMul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor;

  broadcastTo(x: TfTensor, shape: readonly number[]): TfTensor;
  concat(list: readonly TfTensor[], axis: number): TfTensor;
  pad(x: TfTensor, pads: readonly (readonly [before: number, after: number])[], value: number): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  slice(x: TfTensor, begin: readonly number[], size: readonly number[]): TfTensor;
  transpose(x: TfTensor, perm: readonly number[]): TfTensor;

  gather(x: TfTensor, indices: TfTensor, axis: number): TfTensor;
  /** Adds updates [n] at indices [n, 1] to zeros of a shape [m]. */
  scatterND(indices: TfTensor, updates: TfTensor, shape: readonly number[]): TfTensor;
  tensorScatterUpdate(x: TfTensor, indices: TfTensor, updates: TfTensor): TfTensor;
}
