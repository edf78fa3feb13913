/** Weight-only int4 in blocks: the smallest files; small students lose accuracy. */
import { z } from 'zod';
import { blockSizeOption } from './blocks.ts';
import { raiseOpset } from './opset.ts';
import { defineQuantizer } from './quantizer.ts';
import { nbits, portable4, storeWeights } from './weight-layers.ts';
import { quantizeWeights, weightOnlyOptions } from './weights.ts';

/** First versions with 4-bit tensors and DequantizeLinear in blocks. */
const BLOCKED = { opset: 21, irVersion: 10 };

export const weight4 = defineQuantizer({
  name: 'weight4',
  summary: 'int4 weights in blocks, float activations: the smallest files; check the metric',
  fileName: 'model_q4',
  options: z.strictObject({
    /** `portable`: DequantizeLinear of opset 21 and MatMul, for any runtime. `nbits`: ONNX Runtime's MatMulNBits. */
    form: z.enum(['portable', 'nbits']).default('portable'),
    /** Inputs of an output that share a scale; smaller in the form nbits where they would be padded. */
    blockSize: blockSizeOption.default(32),
    /** Of MatMulNBits: 0 unset, 1 float32, 4 int8 activations (fastest). */
    accuracyLevel: z.literal([0, 1, 4]).default(4),
    /** How embedding tables are stored; `auto`: int8 in standard operators, int4 in the form nbits. */
    embeddings: z.enum(['auto', 'int8', 'int8-blocks', 'int4', 'none']).default('auto'),
    ...weightOnlyOptions,
  }),
  quantize(model, { form, blockSize, accuracyLevel, embeddings, ...options }) {
    const isPortable = form === 'portable';
    const weights = isPortable ? portable4(blockSize) : nbits(4, blockSize, accuracyLevel);
    return quantizeWeights(
      isPortable ? raiseOpset(model, BLOCKED) : model,
      (layers, fresh) => storeWeights(layers, weights, fresh),
      {
        embeddings: embeddings === 'auto' ? (isPortable ? 'int8' : 'int4') : embeddings,
        ...options,
      },
    );
  },
});
