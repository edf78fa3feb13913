/** Nonlinearities. */
import type { OpEntry, OpTable } from './entry.ts';
import type { Value } from './value.ts';

type Pointwise = 'Erf' | 'Relu' | 'Sigmoid' | 'Tanh';

function pointwise(gradient: OpEntry<Pointwise>['gradient']): OpEntry<Pointwise> {
  return {
    attributes: {},
    infer: ({ inputs: [x] }) => [{ dtype: x.dtype, shape: x.shape }],
    gradient,
    traits: { elementwise: true },
  };
}

export const activation: OpTable<Pointwise | 'Softmax'> = {
  // erf'(x) = 2/√π · exp(-x²)
  Erf: pointwise(({ g, inputs: [x], dy }) => [
    g.mul(g.scale(dy, 2 / Math.sqrt(Math.PI)), g.op('Exp', [g.op('Neg', [g.mul(x, x)])])),
  ]),
  Relu: pointwise(({ g, inputs: [x], dy }) => [g.op('Where', [g.op('Greater', [x, g.scalar(0)]), dy, g.scalar(0)])]),
  Sigmoid: pointwise(({ g, outputs: [y], dy }) => [g.mul(dy, g.mul(y as Value, g.sub(g.scalar(1), y as Value)))]),
  Tanh: pointwise(({ g, outputs: [y], dy }) => [g.mul(dy, g.sub(g.scalar(1), g.mul(y as Value, y as Value)))]),
  // dx = y·(dy - Σ dy·y)
  Softmax: {
    attributes: { axis: 'int' },
    infer: ({ inputs: [x] }) => [{ dtype: x.dtype, shape: x.shape }],
    gradient: ({ g, outputs, attributes: { axis }, dy }) => {
      const y = outputs[0] as Value;
      return [g.mul(y, g.sub(dy, g.sum(g.mul(dy, y), [axis], 1)))];
    },
    traits: {},
  },
};
