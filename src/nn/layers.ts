/** Building blocks of encoders. */
import { internal } from '../errors/index.ts';
import { isStatic, type GraphBuilder, type Value } from '../ops/index.ts';
import type { Activation } from './architecture.ts';

/** The value of a parameter by its checkpoint name: a graph input while training, an initializer otherwise. */
export type ParameterSource = (name: string) => Value;

/** Masks for dropout: `apply(x, p)` drops elements with probability p and scales the rest by 1/(1-p). */
export interface Dropout {
  apply(x: Value, probability: number): Value;
}

/** For inference and evaluation. */
export const noDropout: Dropout = { apply: (x) => x };

/** x [..., in] · weight [in, out] + bias [out]; one Gemm when the shape is static, MatMul and Add otherwise. */
export function linear(g: GraphBuilder, x: Value, parameter: ParameterSource, name: string): Value {
  const weight = parameter(`${name}.weight`);
  const bias = parameter(`${name}.bias`);
  if (!isStatic(x.shape)) return g.add(g.op('MatMul', [x, weight]), bias);
  const rows = x.shape.slice(0, -1);
  const product = g.op('Gemm', [
    g.reshape(x, [rows.reduce((n, dim) => n * dim, 1), x.shape.at(-1) as number]),
    weight,
    bias,
  ]);
  return g.reshape(product, [...rows, weight.shape[1] as number]);
}

export function layerNorm(g: GraphBuilder, x: Value, parameter: ParameterSource, name: string, epsilon: number): Value {
  return g.op('LayerNormalization', [x, parameter(`${name}.weight`), parameter(`${name}.bias`)], { axis: -1, epsilon });
}

/** Rows of a table by indices. */
export function embedding(g: GraphBuilder, indices: Value, table: Value): Value {
  return g.op('Gather', [table, indices], { axis: 0 });
}

export function activate(g: GraphBuilder, x: Value, activation: Activation): Value {
  switch (activation) {
    // x/2 · (1 + erf(x/√2)), in the order of operations that ONNX Runtime fuses
    case 'gelu': {
      const erf = g.op('Erf', [g.div(x, g.scalar(Math.SQRT2))]);
      return g.mul(g.mul(x, g.add(erf, g.scalar(1))), g.scalar(0.5));
    }
    // x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))
    case 'gelu_new': {
      const cube = g.mul(g.mul(x, x), x);
      const inner = g.scale(g.add(x, g.scale(cube, 0.044715)), Math.sqrt(2 / Math.PI));
      return g.mul(g.scale(x, 0.5), g.add(g.op('Tanh', [inner]), g.scalar(1)));
    }
    case 'relu':
      return g.op('Relu', [x]);
    default:
      throw internal(`activation ${String(activation)}`);
  }
}

/** The first token of each sequence: x [batch, seq, hidden] to [batch, hidden]. */
export function firstToken(g: GraphBuilder, x: Value): Value {
  const first = g.op('Slice', [x, g.ints([0]), g.ints([1]), g.ints([1])]);
  return g.op('Squeeze', [first, g.ints([1])]);
}
