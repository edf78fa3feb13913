/** Matrix products. */
import { internal } from '../errors/index.ts';
import type { Dim } from '../graph/index.ts';
import { broadcastShapes } from './broadcast.ts';
import type { GraphBuilder } from './builder.ts';
import type { OpTable } from './entry.ts';
import { dimAt, isStatic, type Value } from './value.ts';

function innerDim(a: Dim, b: Dim, what: string): void {
  if (typeof a === 'number' && typeof b === 'number' && a !== b) throw internal(`${what}: inner sizes ${a} and ${b}`);
}

function lastTwoSwapped(g: GraphBuilder, x: Value): Value {
  const perm = x.shape.map((_, axis) => axis);
  perm.push(...perm.splice(-2).reverse());
  return g.transpose(x, perm);
}

/** All leading axes as one: [..., n] to [m, n]. */
function asMatrix(g: GraphBuilder, x: Value): Value {
  if (!isStatic(x.shape))
    throw internal(`the gradient of MatMul needs static shapes, ${x.name} has [${x.shape.join(',')}]`);
  const columns = x.shape.at(-1) as number;
  const rows = x.shape.slice(0, -1).reduce((product, dim) => product * dim, 1);
  return g.reshape(x, [rows, columns]);
}

export const matmul: OpTable<'Gemm' | 'MatMul'> = {
  // y = alpha·A'B' + beta·C, A [M,K], B [K,N] after the optional transposes, C broadcast to [M,N].
  Gemm: {
    attributes: { alpha: 'float', beta: 'float', transA: 'int', transB: 'int' },
    infer: ({ inputs: [a, b], attributes: { transA = 0, transB = 0 } }) => {
      if (a.shape.length !== 2 || b.shape.length !== 2) throw internal('Gemm takes matrices');
      innerDim(dimAt(a.shape, transA ? 0 : 1), dimAt(b.shape, transB ? 1 : 0), 'Gemm');
      return [{ dtype: a.dtype, shape: [dimAt(a.shape, transA ? 1 : 0), dimAt(b.shape, transB ? 0 : 1)] }];
    },
    gradient: ({ g, inputs: [a, b], attributes: { alpha = 1, beta = 1, transA = 0, transB = 0 }, dy, needs }) => {
      // dA' = dy·B'ᵀ, dB' = A'ᵀ·dy; a transposed operand gets the transposed product.
      const da = () =>
        transA
          ? g.op('Gemm', [b, dy], { alpha, transA: transB, transB: 1 })
          : g.op('Gemm', [dy, b], { alpha, transB: 1 - transB });
      const db = () =>
        transB
          ? g.op('Gemm', [dy, a], { alpha, transA: 1, transB: transA })
          : g.op('Gemm', [a, dy], { alpha, transA: 1 - transA });
      return [needs(0) ? da() : undefined, needs(1) ? db() : undefined, needs(2) ? g.scale(dy, beta) : undefined];
    },
    traits: {},
  },
  // a [..., M, K], b [..., K, N], leading axes broadcast.
  MatMul: {
    attributes: {},
    infer: ({ inputs: [a, b] }) => {
      if (a.shape.length < 2 || b.shape.length < 2) throw internal('MatMul of vectors is not used');
      innerDim(dimAt(a.shape, -1), dimAt(b.shape, -2), 'MatMul');
      const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
      return [{ dtype: a.dtype, shape: [...batch, dimAt(a.shape, -2), dimAt(b.shape, -1)] }];
    },
    gradient: ({ g, inputs: [a, b], dy, needs }) => {
      if (b.shape.length === 2) {
        // One matrix for all leading axes: plain matrix products instead of a batch of them and a sum.
        const rows = asMatrix(g, dy);
        return [
          needs(0) ? g.reshape(g.op('Gemm', [rows, b], { transB: 1 }), a.shape as readonly number[]) : undefined,
          needs(1) ? g.op('Gemm', [asMatrix(g, a), rows], { transA: 1 }) : undefined,
        ];
      }
      return [
        needs(0) ? g.op('MatMul', [dy, lastTwoSwapped(g, b)]) : undefined,
        needs(1) ? g.op('MatMul', [lastTwoSwapped(g, a), dy]) : undefined,
      ];
    },
    traits: {},
  },
};
