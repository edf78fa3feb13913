/** Four examples for tests of MixKD, some pairs of them, and what the method makes of them. */
import assert from 'node:assert/strict';
import { mixkd, type MixkdOptions } from '../../../plugins/distill/src/methods/mixkd.ts';
import type { Value } from '../../../src/ops/index.ts';
import { compile, pairs, type Built, type Feeds, type Results, type Row, type Scene } from './mix-context.ts';

/** Of different lengths, segment boundaries and labels; rows 0 and 3 share a label. */
export const rows: readonly Row[] = [
  { ids: [1, 5, 6, 2], second: 3, label: 0 },
  { ids: [1, 7, 8, 9, 10, 2], second: 2, label: 2 },
  { ids: [1, 11, 2], label: 1 },
  { ids: [1, 12, 13, 14, 2], second: 4, label: 0 },
];
export const scene: Scene = { rows };
export const exact: Scene = { rows, float: 'float64' };
export const regression: Scene = {
  rows: rows.map((row, i) => ({ ...row, label: [0.5, -1, 2, 3][i]! })),
  float: 'float64',
  regression: true,
};

/** Shares that float32 holds exactly. */
export const mixed = pairs([0, 1, 0.25], [1, 3, 0.75], [2, 0, 0.5], [3, 0, 0.125]);

export function options(given: Partial<MixkdOptions> = {}): MixkdOptions {
  return mixkd.options.parse(given);
}

/** The loss, its metrics, and the logits of the mixed pass of both models. */
export function outputsOf(built: Built, given: Partial<MixkdOptions>): Record<string, Value> {
  const { loss, metrics } = mixkd.loss(built.context, options(given));
  const outputs: Record<string, Value> = { ...metrics, total: built.g.op('Identity', [loss]) };
  for (const [role, passes] of Object.entries(built.passes))
    passes.forEach((pass) => (outputs[`${role}_logits`] = pass.outputs.logits));
  return outputs;
}

export async function evaluate(where: Scene, given: Partial<MixkdOptions>, feeds: Feeds = mixed): Promise<Results> {
  return (await compile(where, (built) => outputsOf(built, given)))(feeds);
}

export function near(actual: number | undefined, expected: number, tolerance: number, what = 'value'): void {
  assert.ok(Math.abs((actual ?? NaN) - expected) <= tolerance, `${what} is ${actual}, not ${expected}`);
}

/** The rows of a matrix. */
export function table(values: readonly number[] | undefined, count: number): number[][] {
  assert.ok(values);
  const width = values.length / count;
  return Array.from({ length: count }, (_, i) => values.slice(i * width, (i + 1) * width));
}
