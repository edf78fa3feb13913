/** Normalisation. */
import { normalizeAxis, type Value } from './value.ts';
import type { OpTable } from './entry.ts';

export const normalize: OpTable<'LayerNormalization'> = {
  // y = x̂·scale + bias, x̂ = (x - mean)·invStd over the axes from `axis` on; outputs y, mean, invStd (both float32).
  LayerNormalization: {
    attributes: { axis: 'int', epsilon: 'float' },
    infer: ({ inputs: [x], attributes: { axis } }) => {
      const first = normalizeAxis(axis, x.shape.length);
      const statistics = { dtype: 'float32' as const, shape: x.shape.map((dim, i) => (i < first ? dim : 1)) };
      return [{ dtype: x.dtype, shape: x.shape }, statistics, statistics];
    },
    // With u = dy·scale: dx = invStd·(u - mean(u) - x̂·mean(u·x̂)), dscale = Σ dy·x̂, dbias = Σ dy.
    gradient: ({ g, inputs: [x, scale], outputs, attributes: { axis }, dy, needs }) => {
      const asInput = (value: Value) => (value.dtype === x.dtype ? value : g.op('Cast', [value], { to: x.dtype }));
      const [mean, invStd] = [asInput(outputs[1] as Value), asInput(outputs[2] as Value)];
      const normalized = g.mul(g.sub(x, mean), invStd);
      const dx = () => {
        const axes = x.shape.map((_, i) => i).slice(normalizeAxis(axis, x.shape.length));
        const average = (value: Value) => g.op('ReduceMean', [value], { axes, keepdims: 1 });
        const u = g.mul(dy, scale);
        const centred = g.sub(u, average(u));
        return g.mul(g.sub(centred, g.mul(normalized, average(g.mul(u, normalized)))), invStd);
      };
      return [needs(0) ? dx() : undefined, needs(1) ? g.mul(dy, normalized) : undefined, needs(2) ? dy : undefined];
    },
    traits: {},
  },
};
