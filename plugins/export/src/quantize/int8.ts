/** Dynamic int8: int8 weights per output channel, uint8 activations quantized as they come, int8 embeddings per row. */
import { z } from 'zod';
import { KdxError } from 'kdx/errors';
import type { Model } from 'kdx/graph';
import { quantizeLinearLayers } from './int8-linear.ts';
import { findOutliers } from './outliers.ts';
import { defineQuantizer } from './quantizer.ts';
import { commonOptions, quantizeWeights } from './weights.ts';

const options = z.strictObject({
  /** How embedding tables are stored. */
  embeddings: z.enum(['int8', 'int8-blocks', 'int4', 'none']).default('int8'),
  ...commonOptions,
  /** Bits of the weights of linear layers; `auto`: as many as cannot saturate on any processor. */
  weightBits: z.union([z.literal('auto'), z.literal(7), z.literal(8)]).default('auto'),
  /** The classifier on top. */
  head: z.enum(['float', 'int8']).default('float'),
  /** Most channels of an activation that are multiplied in float32, where they are far larger than the others. */
  outliers: z.int().min(0).max(32).default(3),
});

/** First opset with DynamicQuantizeLinear. */
const OPSET = 11;

export const int8 = defineQuantizer({
  name: 'int8',
  summary: 'int8 weights per channel, activations quantized at run time: about a quarter of the size, and fast on CPUs',
  fileName: 'model_quantized',
  options,
  calibration: 'useful',
  async quantize(model, { weightBits: bits, outliers: most, ...options }, calibration) {
    checkOpset(model);
    const outliers = calibration && most > 0 ? await findOutliers(model, most, calibration) : new Map();
    return quantizeWeights(model, (layers, fresh) => quantizeLinearLayers(layers, { bits, outliers }, fresh), options);
  },
});

function checkOpset({ opsets }: Model): void {
  const opset = opsets[''] ?? 0;
  if (opset < OPSET)
    throw new KdxError('opset-too-old', `the model is of opset ${opset}; int8 needs ${OPSET} (DynamicQuantizeLinear)`, {
      suggestions: ['export the model again with opset 17'],
    });
}
