/** Matrix products. */
import { elementCount } from 'kdx/graph';
import { broadcastShapes } from 'kdx/ops';
import type { TensorFlow, TfTensor } from '../tensorflow.ts';
import { float, type KernelTable } from './kernel.ts';

export const matmul: KernelTable<'Gemm' | 'MatMul'> = {
  Gemm({ tf, inputs: [a, b, c], attributes: { alpha = 1, beta = 1, transA = 0, transB = 0 } }) {
    const product = scaled(tf, multiply(tf, a, b, transA !== 0, transB !== 0), alpha);
    return c ? tf.add(product, scaled(tf, c, beta)) : product;
  },
  MatMul({ tf, inputs: [a, b] }) {
    const [rows = 1, inner = 1] = a.shape.slice(-2);
    const leading = a.shape.slice(0, -2);
    if (b.shape.length === 2) {
      const flat = tf.reshape(a, [elementCount(leading) * rows, inner]);
      return tf.reshape(tf.matMul(flat, b), [...leading, rows, b.shape[1] as number]);
    }
    // The JavaScript backend pairs batches by their number modulo the count, which is no broadcast.
    const batch = broadcastShapes(leading, b.shape.slice(0, -2)) as readonly number[];
    return tf.matMul(expanded(tf, a, batch), expanded(tf, b, batch));
  },
};

/** WebAssembly has its fast product only for operands as they are: 2048x1200x312 takes 90 ms, transposed 1 to 5 s. */
function multiply(tf: TensorFlow, a: TfTensor, b: TfTensor, transA: boolean, transB: boolean): TfTensor {
  if (tf.getBackend() !== 'wasm') return tf.matMul(a, b, transA, transB);
  const turned = (x: TfTensor, isTransposed: boolean) => (isTransposed ? tf.transpose(x, [1, 0]) : x);
  return tf.matMul(turned(a, transA), turned(b, transB));
}

function scaled(tf: TensorFlow, x: TfTensor, factor: number): TfTensor {
  return factor === 1 ? x : tf.mul(x, float(tf, factor));
}

function expanded(tf: TensorFlow, x: TfTensor, batch: readonly number[]): TfTensor {
  const shape = [...batch, ...x.shape.slice(-2)];
  return shape.join() === x.shape.join() ? x : tf.broadcastTo(x, shape);
}
