/** Session options in the words of onnxruntime-node. */
import type { InferenceSession } from 'onnxruntime-node';
import type { SessionOptions } from './engine.ts';

type Given = Pick<
  SessionOptions,
  'optimization' | 'disabledOptimizers' | 'memoryPattern' | 'threads' | 'spinning' | 'prepacking'
>;

/** Only what is given: the rest stays as onnxruntime-node has it. */
export function nodeSessionOptions(given: Given): InferenceSession.SessionOptions {
  const { optimization, disabledOptimizers, memoryPattern, threads, spinning, prepacking } = given;
  const session = {
    ...(spinning !== undefined && { intra_op: { allow_spinning: spinning ? '1' : '0' } }),
    ...(prepacking !== undefined && { disable_prepacking: prepacking ? '0' : '1' }),
  };
  return {
    ...(threads !== undefined && { intraOpNumThreads: threads }),
    ...(optimization !== undefined && { graphOptimizationLevel: optimization }),
    ...(memoryPattern !== undefined && { enableMemPattern: memoryPattern }),
    extra: {
      ...(Object.keys(session).length > 0 && { session }),
      ...(disabledOptimizers !== undefined && {
        optimization: { disable_specified_optimizers: disabledOptimizers.join(';') },
      }),
    },
  };
}
