/** Elementwise arithmetic, comparison and selection. */
import { held } from '../element-types.ts';
import type { TensorFlow, TfTensor } from '../tensorflow.ts';
import { int, type Kernel, type KernelTable } from './kernel.ts';

type Unary = 'Abs' | 'Exp' | 'Identity' | 'Log' | 'Neg' | 'Not' | 'Reciprocal' | 'Round' | 'Sqrt';
type Binary = 'Add' | 'And' | 'Equal' | 'Greater' | 'Less' | 'Max' | 'Min' | 'Mul' | 'Or' | 'Pow' | 'Sub';

const unary =
  (compute: (tf: TensorFlow, x: TfTensor) => TfTensor): Kernel<Unary> =>
  ({ tf, inputs: [x] }) =>
    compute(tf, x);

const binary =
  (compute: (tf: TensorFlow, a: TfTensor, b: TfTensor) => TfTensor): Kernel<Binary> =>
  ({ tf, inputs: [a, b] }) =>
    compute(tf, a, b);

export const elementwise: KernelTable<Unary | Binary | 'Cast' | 'Div' | 'Where'> = {
  Abs: unary((tf, x) => tf.abs(x)),
  Exp: unary((tf, x) => tf.exp(x)),
  Identity: unary((_, x) => x.clone()),
  Log: unary((tf, x) => tf.log(x)),
  Neg: unary((tf, x) => tf.neg(x)),
  Not: unary((tf, x) => tf.logicalNot(x)),
  Reciprocal: unary((tf, x) => tf.reciprocal(x)),
  // Half to even, in all backends.
  Round: unary((tf, x) => tf.round(x)),
  Sqrt: unary((tf, x) => tf.sqrt(x)),
  Add: binary((tf, a, b) => tf.add(a, b)),
  And: binary((tf, a, b) => tf.logicalAnd(a, b)),
  Equal: binary((tf, a, b) => tf.equal(a, b)),
  Greater: binary((tf, a, b) => tf.greater(a, b)),
  Less: binary((tf, a, b) => tf.less(a, b)),
  Max: binary((tf, a, b) => tf.maximum(a, b)),
  Min: binary((tf, a, b) => tf.minimum(a, b)),
  Mul: binary((tf, a, b) => tf.mul(a, b)),
  Or: binary((tf, a, b) => tf.logicalOr(a, b)),
  Pow: binary((tf, a, b) => tf.pow(a, b)),
  Sub: binary((tf, a, b) => tf.sub(a, b)),
  Cast: ({ tf, inputs: [x], attributes: { to = 'float32' } }) =>
    to === 'bool' ? isNotZero(tf, x) : tf.cast(x, held(to)),
  Div: ({ tf, inputs: [a, b] }) => (a.dtype === 'int32' ? truncatedQuotient(tf, a, b) : tf.div(a, b)),
  Where: ({ tf, inputs: [condition, a, b] }) => tf.where(condition, a, b),
};

/** `tf.cast` on WebAssembly goes over integers, where 0.5 becomes false. */
function isNotZero(tf: TensorFlow, x: TfTensor): TfTensor {
  return x.dtype === 'bool' ? x.clone() : tf.notEqual(x, tf.cast(int(tf, 0), x.dtype));
}

/** ONNX rounds integer quotients towards 0, TensorFlow.js towards -∞: -7/2 is -3. */
function truncatedQuotient(tf: TensorFlow, a: TfTensor, b: TfTensor): TfTensor {
  const zero = int(tf, 0);
  const size = tf.floorDiv(tf.abs(a), tf.abs(b));
  const isNegative = tf.less(tf.mul(sign(tf, a), sign(tf, b)), zero);
  return tf.where(isNegative, tf.neg(size), size);
}

/** -1 or 1; `tf.sign` is for floats. */
function sign(tf: TensorFlow, x: TfTensor): TfTensor {
  return tf.where(tf.less(x, int(tf, 0)), int(tf, -1), int(tf, 1));
}
