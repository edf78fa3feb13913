/** The mixed batch of MixKD as a graph: rows of the plain inputs, gathered in pairs. */
import type { BertInputs } from 'kdx/nn';
import type { GraphBuilder, Value } from 'kdx/ops';
import type { MethodContext } from './method.ts';
import { mixedRows } from './mixkd-draws.ts';

/** Both members of each pair. */
type Members = readonly [Value, Value];

/** What a padded position contributes where the other member has a token. */
export type PadRule = 'embed' | 'zero' | 'keep';

export interface Mixture {
  /** For any model; it mixes its own embeddings. */
  readonly inputs: BertInputs;
  /** λ and 1-λ, [mixed rows] */
  readonly shares: Members;
  /** 1 for mixed samples, 0 for filler, [mixed rows] */
  readonly weights: Value;
  /** The rows of a value of the plain batch, [rows, ...] to [mixed rows, ...] twice. */
  members(value: Value): Members;
}

/** Reads the inputs that `drawPairs` feeds. */
export function mixture(context: MethodContext, mixRatio: number, pad: PadRule): Mixture {
  const { g, bucket, inputs } = context;
  const rows = [mixedRows(mixRatio, bucket.rows)];
  const row = context.input('mix_row', 'int64', rows);
  const partner = context.input('mix_partner', 'int64', rows);
  const lambda = context.input('mix_lambda', g.float, rows);
  const shares: Members = [lambda, g.sub(g.scalar(1), lambda)];
  const members = (value: Value): Members => [
    g.op('Gather', [value, row], { axis: 0 }),
    g.op('Gather', [value, partner], { axis: 0 }),
  ];
  const ids = members(inputs.inputIds);
  const types = members(inputs.tokenTypeIds);
  const tokens = members(inputs.attentionMask);
  const present: Members = [shown(g, tokens[0], shares[0]), shown(g, tokens[1], shares[1])];
  const [first, second] = positionShares(g, pad, [column(g, shares[0]), column(g, shares[1])], present);
  return {
    inputs: {
      inputIds: ids[0],
      tokenTypeIds: types[0],
      attentionMask: g.op('Cast', [either(g, present)], { to: 'int64' }),
      mixture: {
        inputIds: ids[1],
        tokenTypeIds: types[1],
        weights: [column(g, first), column(g, second)],
      },
    },
    shares,
    weights: context.input('mix_weights', g.float, rows),
    members,
  };
}

/** A or b by De Morgan's law: ONNX Runtime 1.30 has no Or for WebGPU. */
function either(g: GraphBuilder, [a, b]: Members): Value {
  return g.op('Not', [g.op('And', [g.op('Not', [a]), g.op('Not', [b])])]);
}

/** Where a member has a token, bool [rows, length]. A member without a share has none: λ = 1 is the plain example. */
function shown(g: GraphBuilder, mask: Value, share: Value): Value {
  return g.op('And', [g.op('Cast', [mask], { to: 'bool' }), g.op('Greater', [column(g, share), g.scalar(0)])]);
}

/** Shares of both members at each position, [rows, length], or [rows, 1] where it does not matter. */
function positionShares(g: GraphBuilder, pad: PadRule, shares: Members, present: Members): Members {
  switch (pad) {
    case 'embed':
      return shares;
    case 'zero': {
      const part = (share: Value, tokens: Value) => g.mul(share, g.op('Cast', [tokens], { to: g.float }));
      return [part(shares[0], present[0]), part(shares[1], present[1])];
    }
    case 'keep': {
      const alone = (tokens: Value, others: Value) => g.op('And', [tokens, g.op('Not', [others])]);
      const kept = g.op('Where', [alone(present[0], present[1]), g.scalar(1), shares[0]]);
      const first = g.op('Where', [alone(present[1], present[0]), g.scalar(0), kept]);
      return [first, g.sub(g.scalar(1), first)];
    }
  }
}

/** [...dims] to [...dims, 1] */
function column(g: GraphBuilder, x: Value): Value {
  return g.op('Unsqueeze', [x, g.ints([x.shape.length])]);
}
