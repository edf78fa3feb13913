/** Dynamic int8: int8 weights per output channel, uint8 activations quantized as they come, int8 embeddings per row. */
import { z } from 'zod';
import { KdxError } from 'kdx/errors';
import type { Model } from 'kdx/graph';
import { quantizeLinearLayers } from './int8-linear.ts';
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
});

/** First opset with DynamicQuantizeLinear. */
const OPSET = 11;

export const int8 = defineQuantizer({
  name: 'int8',
  summary: 'int8 weights per channel, activations quantized at run time: about a quarter of the size, and fast on CPUs',
  fileName: 'model_quantized',
  options,
  quantize(model, { weightBits, ...options }) {
    checkOpset(model);
    return quantizeWeights(model, (layers, fresh) => quantizeLinearLayers(layers, weightBits, fresh), options);
  },
});

function checkOpset({ opsets }: Model): void {
  const opset = opsets[''] ?? 0;
  if (opset < OPSET)
    throw new KdxError('opset-too-old', `the model is of opset ${opset}; int8 needs ${OPSET} (DynamicQuantizeLinear)`, {
      suggestions: ['export the model again with opset 17'],
    });
}
