/** Logits of many examples: in batches by length, results in the order of the examples. */
import { bucketing, collate, encodedLengths, planBatches, type EncodedExamples } from '../data/index.ts';
import type { Tensor } from '../graph/index.ts';
import { silentProgress, type Progress } from '../progress/index.ts';

/** Runs input_ids, attention_mask and token_type_ids [rows, length] to logits [rows, labels]. */
export type RunBatch = (inputs: Readonly<Record<string, Tensor>>) => Promise<Tensor>;

export interface LogitsOptions {
  readonly labels: number;
  /** Rows per run; default 32. */
  readonly batch?: number;
  readonly maxLength: number;
  /** Default: says nothing. */
  readonly progress?: Progress;
  readonly label?: string;
  readonly signal?: AbortSignal;
}

/** float32 [examples, labels] */
export async function computeLogits(
  run: RunBatch,
  examples: EncodedExamples,
  { labels, batch = 32, maxLength, progress = silentProgress, label = 'evaluating', signal }: LogitsOptions,
): Promise<Tensor<'float32'>> {
  const data = new Float32Array(examples.count * labels);
  progress.start(label, examples.count);
  let done = 0;
  const lengths = encodedLengths(examples);
  for (const planned of planBatches({ lengths, batchSize: batch, bucket: bucketing(maxLength) })) {
    signal?.throwIfAborted();
    // Labels are not read here; as floats, those of a regression fit too.
    const { input_ids, attention_mask, token_type_ids } = collate(examples, planned, { regression: true });
    const logits = (await run({ input_ids, attention_mask, token_type_ids })).data as Float32Array;
    planned.indices.forEach((example, row) => {
      data.set(logits.subarray(row * labels, (row + 1) * labels), example * labels);
    });
    done += planned.indices.length;
    progress.update(done);
  }
  progress.end();
  return { dtype: 'float32', dims: [examples.count, labels], data };
}
