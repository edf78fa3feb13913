/** Weight-only int8: activations stay float, so that no input can be out of range; a size scheme, not a fast one. */
import { z } from 'zod';
import { blockSizeOption } from './blocks.ts';
import { requireOpset } from './opset.ts';
import { defineQuantizer } from './quantizer.ts';
import { nbits, portable8, storeWeights } from './weight-layers.ts';
import { quantizeWeights, weightOnlyOptions } from './weights.ts';

/** First opset of DequantizeLinear with a scale per channel. */
const OPSET = 13;

export const weight8 = defineQuantizer({
  name: 'weight8',
  summary: 'int8 weights, float activations: about a quarter of the size, the smallest error',
  fileName: 'model_int8',
  options: z.strictObject({
    /** `portable`: DequantizeLinear and MatMul, for any runtime. `nbits`: ONNX Runtime's MatMulNBits. */
    form: z.enum(['portable', 'nbits']).default('portable'),
    /** Inputs of an output that share a scale, in the form nbits; smaller where they would be padded. */
    blockSize: blockSizeOption.default(128),
    /** Of MatMulNBits: 0 unset, 1 float32, 4 int8 activations (fastest). */
    accuracyLevel: z.literal([0, 1, 4]).default(4),
    /** How embedding tables are stored. */
    embeddings: z.enum(['int8', 'int8-blocks', 'int4', 'none']).default('int8'),
    ...weightOnlyOptions,
  }),
  quantize(model, { form, blockSize, accuracyLevel, ...options }) {
    if (form === 'portable') requireOpset(model, OPSET);
    const weights = form === 'portable' ? portable8 : nbits(8, blockSize, accuracyLevel);
    return quantizeWeights(model, (layers, fresh) => storeWeights(layers, weights, fresh), options);
  },
});
