/** Elementwise arithmetic, comparison and selection. */
import type { OpEntry, OpTable } from './entry.ts';
import { broadcastShapes } from './broadcast.ts';
import { internal } from '../errors/index.ts';
import type { Value } from './value.ts';

type Unary = 'Abs' | 'Exp' | 'Identity' | 'Log' | 'Neg' | 'Reciprocal' | 'Round' | 'Sqrt';
type Binary = 'Add' | 'Sub' | 'Mul' | 'Div' | 'Pow' | 'Max' | 'Min';
type Comparison = 'Equal' | 'Greater' | 'Less';
type Logic = 'And' | 'Or';

function sameType(a: Value, b: Value): Value['dtype'] {
  if (a.dtype !== b.dtype) throw internal(`${a.name} is ${a.dtype}, ${b.name} is ${b.dtype}`);
  return a.dtype;
}

function unary(gradient: OpEntry<Unary>['gradient']): OpEntry<Unary> {
  return {
    attributes: {},
    infer: ({ inputs: [x] }) => [{ dtype: x.dtype, shape: x.shape }],
    gradient,
    traits: { elementwise: true },
  };
}

function binary(gradient: OpEntry<Binary>['gradient']): OpEntry<Binary> {
  return {
    attributes: {},
    infer: ({ inputs: [a, b] }) => [{ dtype: sameType(a, b), shape: broadcastShapes(a.shape, b.shape) }],
    gradient,
    traits: { elementwise: true },
  };
}

function comparison(): OpEntry<Comparison | Logic> {
  return {
    attributes: {},
    infer: ({ inputs: [a, b] }) => {
      sameType(a, b);
      return [{ dtype: 'bool', shape: broadcastShapes(a.shape, b.shape) }];
    },
    gradient: 'none',
    traits: { elementwise: true },
  };
}

/** dy where the first input was chosen, and dy where the second was; an exact tie goes to the first. */
function chosen(first: 'Less' | 'Greater'): OpEntry<Binary>['gradient'] {
  return ({ g, inputs: [a, b], dy }) => {
    const second = g.op(first, [b, a]);
    const zero = g.scalar(0);
    return [g.op('Where', [second, zero, dy]), g.op('Where', [second, dy, zero])];
  };
}

export const elementwise: OpTable<Unary | Binary | Comparison | Logic | 'Not' | 'Cast' | 'Where'> = {
  Add: binary(({ dy }) => [dy, dy]),
  Sub: binary(({ g, dy, needs }) => [dy, needs(1) ? g.op('Neg', [dy]) : undefined]),
  Mul: binary(({ g, inputs: [a, b], dy, needs }) => [
    needs(0) ? g.mul(dy, b) : undefined,
    needs(1) ? g.mul(dy, a) : undefined,
  ]),
  // d(a/b) = da/b - db·y/b
  Div: binary(({ g, inputs: [, b], outputs: [y], dy, needs }) => {
    const da = g.div(dy, b);
    return [da, needs(1) ? g.op('Neg', [g.mul(da, y as Value)]) : undefined];
  }),
  // d(a^b) = b·a^(b-1)·da + a^b·ln(a)·db; the second term is defined for a > 0 only.
  Pow: binary(({ g, inputs: [a, b], outputs: [y], dy, needs }) => [
    needs(0) ? g.mul(dy, g.mul(b, g.op('Pow', [a, g.sub(b, g.scalar(1))]))) : undefined,
    needs(1) ? g.mul(dy, g.mul(y as Value, g.op('Log', [a]))) : undefined,
  ]),
  Max: binary(chosen('Greater')),
  Min: binary(chosen('Less')),
  // The subgradient at 0 is taken as -1: x/|x| would be NaN there.
  Abs: unary(({ g, inputs: [x], dy }) => [g.op('Where', [g.op('Greater', [x, g.scalar(0)]), dy, g.op('Neg', [dy])])]),
  Exp: unary(({ g, outputs: [y], dy }) => [g.mul(dy, y as Value)]),
  Identity: unary(({ dy }) => [dy]),
  Log: unary(({ g, inputs: [x], dy }) => [g.div(dy, x)]),
  Neg: unary(({ g, dy }) => [g.op('Neg', [dy])]),
  Reciprocal: unary(({ g, outputs: [y], dy }) => [g.op('Neg', [g.mul(dy, g.mul(y as Value, y as Value))])]),
  // Half to even. The derivative is 0 almost everywhere.
  Round: unary('none'),
  Sqrt: unary(({ g, outputs: [y], dy }) => [g.div(g.scale(dy, 0.5), y as Value)]),
  And: comparison(),
  Or: comparison(),
  Equal: comparison(),
  Greater: comparison(),
  Less: comparison(),
  Not: {
    attributes: {},
    infer: ({ inputs: [x] }) => [{ dtype: 'bool', shape: x.shape }],
    gradient: 'none',
    traits: { elementwise: true },
  },
  Cast: {
    attributes: { to: 'dtype' },
    infer: ({ inputs: [x], attributes: { to } }) => [{ dtype: to, shape: x.shape }],
    gradient: ({ g, inputs: [x], dy }) => [
      x.dtype.startsWith('float') ? g.op('Cast', [dy], { to: x.dtype }) : undefined,
    ],
    traits: { elementwise: true },
  },
  Where: {
    attributes: {},
    infer: ({ inputs: [condition, a, b] }) => [
      { dtype: sameType(a, b), shape: broadcastShapes(condition.shape, a.shape, b.shape) },
    ],
    gradient: ({ g, inputs: [condition], dy, needs }) => {
      const zero = g.scalar(0);
      return [
        undefined,
        needs(1) ? g.op('Where', [condition, dy, zero]) : undefined,
        needs(2) ? g.op('Where', [condition, zero, dy]) : undefined,
      ];
    },
    traits: { elementwise: true, constantInputs: [0] },
  },
};
