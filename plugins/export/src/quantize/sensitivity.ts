/** How much each weight matters: what the outputs lose when it alone is quantized, and which to keep in float for a budget. */
import { KdxError } from 'kdx/errors';
import type { Model } from 'kdx/graph';
import type { Calibration } from '../calibration.ts';

/** Of a weight with all layers that share it. */
export interface Sensitivity {
  /** Initializer of the float graph. */
  readonly weight: string;
  /** Root mean square difference of the outputs by their standard deviation, with only this weight quantized. */
  readonly relativeRms: number;
}

/** Compares models with the float one on the sentences of a calibration. */
export type RelativeRms = (model: Model) => Promise<number>;

/** @throws KdxError `constant-outputs` when the float outputs are all the same, which leaves nothing to compare with */
export async function relativeRmsOn(calibration: Calibration, float: Model): Promise<RelativeRms> {
  const names = float.graph.outputs.filter(({ dtype }) => dtype === 'float32').map(({ name }) => name);
  const outputs = async (model: Model): Promise<Float32Array[]> => {
    const found: Float32Array[] = [];
    await calibration.observe(model, names, (values) => {
      for (const { data } of values.values()) found.push(data);
    });
    return found;
  };
  const expected = await outputs(float);
  const count = expected.reduce((sum, { length }) => sum + length, 0);
  const mean = total(expected, (value) => value) / count;
  const spread = Math.sqrt(total(expected, (value) => (value - mean) ** 2) / count);
  if (!(spread > 0))
    throw new KdxError(
      'constant-outputs',
      `the model gives the same outputs for all ${calibration.sentences} sentences`,
      {
        suggestions: ['calibrate with more and other sentences'],
      },
    );
  return async (model) => {
    const found = await outputs(model);
    const squares = total(expected, (value, run, i) => (value - (found[run]?.[i] as number)) ** 2);
    return Math.sqrt(squares / count) / spread;
  };
}

function total(runs: readonly Float32Array[], term: (value: number, run: number, i: number) => number): number {
  let sum = 0;
  for (const [run, values] of runs.entries())
    for (let i = 0; i < values.length; i++) sum += term(values[i] as number, run, i);
  return sum;
}

/**
 * Every weight alone, the most sensitive first. Differences of one weight are measured and not those of all weights but
 * one, which are differences of nearly equal numbers.
 * @param quantizeOnly the model with one weight quantized
 */
export async function measureSensitivities(
  weights: readonly string[],
  quantizeOnly: (weight: string) => Model,
  relativeRms: RelativeRms,
): Promise<Sensitivity[]> {
  const sensitivities: Sensitivity[] = [];
  for (const weight of weights) sensitivities.push({ weight, relativeRms: await relativeRms(quantizeOnly(weight)) });
  return sensitivities.sort((a, b) => b.relativeRms - a.relativeRms);
}

/**
 * How many of the most sensitive weights have to stay float for the budget, found by bisection: the fewest if each of them
 * takes error away.
 * @param quantizeWithout the model with these weights float
 * @throws KdxError `budget-not-met` when it is not met with every one of them float
 */
export async function weightsForBudget(
  sensitivities: readonly Sensitivity[],
  maxRms: number,
  quantizeWithout: (weights: ReadonlySet<string>) => Model,
  relativeRms: RelativeRms,
): Promise<number> {
  const measure = (kept: number) =>
    relativeRms(quantizeWithout(new Set(sensitivities.slice(0, kept).map(({ weight }) => weight))));
  let [tooFew, enough] = [-1, sensitivities.length];
  const least = await measure(enough);
  if (least > maxRms)
    throw new KdxError(
      'budget-not-met',
      `maxRms=${maxRms}: the outputs differ by ${least.toPrecision(3)} of their spread with every linear layer in float`,
      { suggestions: [`--set maxRms=${(least * 1.1).toPrecision(2)}`, '--set embeddings=none'] },
    );
  while (enough - tooFew > 1) {
    const kept = (tooFew + enough) >> 1;
    if ((await measure(kept)) <= maxRms) enough = kept;
    else tooFew = kept;
  }
  return enough;
}
