/** Normalisation. */
import { float, frontAxis, type KernelTable } from './kernel.ts';

export const normalize: KernelTable<'LayerNormalization'> = {
  LayerNormalization({ tf, inputs, attributes: { axis = -1, epsilon = 1e-5 } }) {
    const [x, scale, bias] = inputs;
    const axes = x.shape.map((_, i) => i).slice(frontAxis(axis, x.shape.length));
    const mean = tf.mean(x, axes, true);
    const centred = tf.sub(x, mean);
    const variance = tf.mean(tf.square(centred), axes, true);
    const invStd = tf.rsqrt(tf.add(variance, float(tf, epsilon)));
    const y = tf.add(tf.mul(tf.mul(centred, invStd), scale), bias);
    return [y, mean, invStd];
  },
};
