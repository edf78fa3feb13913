/** Static int8: activations quantized with scales from real sentences; the layers that suffer most may stay float. */
import { z } from 'zod';
import { KdxError } from 'kdx/errors';
import type { Model } from 'kdx/graph';
import { activationRanges, calibrationMethods } from '../calibrate/index.ts';
import { constantsOf } from './constants.ts';
import { quantizeColumns, type Int8Columns } from './int8-columns.ts';
import { nameOf, type LinearLayer, type LinearWeight } from './linear-layers.ts';
import { requireOpset } from './opset.ts';
import { defineQuantizer, type KeptNode, type Quantized } from './quantizer.ts';
import { selectWeights } from './selection.ts';
import { measureSensitivities, relativeRmsOn, weightsForBudget, type Sensitivity } from './sensitivity.ts';
import { quantizeStaticLayers } from './static-linear.ts';
import { commonOptions, quantizeWeights } from './weights.ts';

const options = z.strictObject({
  /** How the range of an activation is chosen. */
  calibration: z.enum(calibrationMethods).default('mse'),
  /** Percentage of the values of an activation that are inside its range, with calibration=percentile. */
  percentile: z.number().min(50).max(100).default(99.999),
  /** Weights that stay float, the most sensitive first; 0 only measures how sensitive they are. */
  keepFloat: z.int().min(0).optional(),
  /** As few weights stay float as keep the outputs within this part of their spread, on the calibration sentences. */
  maxRms: z.number().positive().optional(),
  /** How embedding tables are stored. */
  embeddings: z.enum(['int8', 'int8-blocks', 'int4', 'none']).default('int8'),
  ...commonOptions,
  /** Bits of the weights of linear layers; `auto`: as many as cannot saturate on any processor. */
  weightBits: z.union([z.literal('auto'), z.literal(7), z.literal(8)]).default('auto'),
  /** The classifier on top. */
  head: z.enum(['float', 'int8']).default('float'),
});

/** First opset of DequantizeLinear with a scale per channel. */
const OPSET = 13;

export const int8Static = defineQuantizer({
  name: 'int8-static',
  summary: 'int8 weights per channel, activations quantized with scales from calibration sentences',
  // transformers.js knows this name as its dtype uint8, which is what activations are; int8 and weight8 have the others.
  fileName: 'model_uint8',
  options,
  calibration: 'needed',
  async quantize(model, options, calibration) {
    requireOpset(model, OPSET);
    if (!calibration) throw needsCalibration();
    const { graph } = model;
    const constants = constantsOf(graph);
    const { layers } = selectWeights(graph, constants, {
      exclude: options.exclude,
      keepHead: options.head === 'float',
    });
    const inputs = [...new Set(layers.map(({ input }) => input))];
    const ranges = await activationRanges(calibration, model, inputs, options);
    const stored = new Map<string, Int8Columns>();
    const columns = (weight: LinearWeight): Int8Columns => {
      const known = stored.get(weight.name) ?? quantizeColumns(weight, options.weightBits);
      stored.set(weight.name, known);
      return known;
    };
    const quantize = (isQuantized: (weight: string) => boolean, embeddings = options.embeddings): Quantized =>
      quantizeWeights(
        model,
        (layers, fresh) =>
          quantizeStaticLayers(
            layers.filter(({ weight }) => isQuantized(weight.name)),
            { ranges, columns, constants },
            fresh,
          ),
        { ...options, embeddings },
      );

    const { keepFloat, maxRms } = options;
    if (keepFloat === undefined && maxRms === undefined) return quantize(() => true);
    const weights = [...new Set(layers.map(({ weight }) => weight.name))];
    const relativeRms = await relativeRmsOn(calibration, model);
    const only = (weight: string): Model => quantize((other) => other === weight, 'none').model;
    const sensitivities = await measureSensitivities(weights, only, relativeRms);
    const without = (kept: ReadonlySet<string>) => quantize((weight) => !kept.has(weight));
    const forBudget =
      maxRms === undefined
        ? 0
        : await weightsForBudget(sensitivities, maxRms, (kept) => without(kept).model, relativeRms);
    const keptWeights = sensitivities.slice(0, Math.max(keepFloat ?? 0, forBudget));
    const result = without(new Set(keptWeights.map(({ weight }) => weight)));
    return { ...result, kept: [...result.kept, ...keptNodes(layers, keptWeights)], sensitivities };
  },
});

function keptNodes(layers: readonly LinearLayer[], keptWeights: readonly Sensitivity[]): KeptNode[] {
  const rms = new Map(keptWeights.map(({ weight, relativeRms }) => [weight, relativeRms]));
  return layers.flatMap(({ node, weight }) => {
    const own = rms.get(weight.name);
    return own === undefined
      ? []
      : [{ node: nameOf(node), opType: node.opType, reason: `sensitive: ${own.toPrecision(3)} of the spread` }];
  });
}

function needsCalibration(): KdxError {
  return new KdxError('needs-calibration', 'int8-static chooses the ranges of activations from real sentences', {
    suggestions: [
      '--calibrate FILE, a text file with one sentence a line',
      '--calibrate DIR --task sst2, whose training sentences are used',
      '--scheme int8 needs no sentences',
    ],
  });
}
