/** Nonlinearities. */
import { frontAxis, type KernelTable } from './kernel.ts';

export const activation: KernelTable<'Erf' | 'Relu' | 'Sigmoid' | 'Softmax' | 'Tanh'> = {
  Erf: ({ tf, inputs: [x] }) => tf.erf(x),
  Relu: ({ tf, inputs: [x] }) => tf.relu(x),
  Sigmoid: ({ tf, inputs: [x] }) => tf.sigmoid(x),
  Softmax({ tf, inputs: [x], attributes: { axis = -1 } }) {
    const rank = x.shape.length;
    const at = frontAxis(axis, rank);
    if (at === rank - 1) return tf.softmax(x);
    const swap = x.shape.map((_, i) => (i === at ? rank - 1 : i === rank - 1 ? at : i));
    return tf.transpose(tf.softmax(tf.transpose(x, swap)), swap);
  },
  Tanh: ({ tf, inputs: [x] }) => tf.tanh(x),
};
