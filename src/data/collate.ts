/** A batch as the tensors of a step graph. */
import { internal } from '../errors/index.ts';
import { tensor, type Tensor } from '../graph/index.ts';
import type { Batch } from './batches.ts';
import type { EncodedExamples } from './encoded.ts';

/** Named like the inputs of BERT. */
export interface BatchTensors {
  /** [rows, length] */
  readonly input_ids: Tensor<'int64'>;
  /** [rows, length], 1 for a token, 0 for padding. */
  readonly attention_mask: Tensor<'int64'>;
  /** [rows, length] */
  readonly token_type_ids: Tensor<'int64'>;
  /** [rows], 1 for an example, 0 for a filler row. */
  readonly weights: Tensor<'float32'>;
  /** [rows], label ids as int64, values of regression as float32. */
  readonly labels: Tensor<'int64'> | Tensor<'float32'>;
}

export interface CollateOptions {
  /** Rows of the tensors; default: as many as the batch has examples. */
  readonly rows?: number;
  readonly regression?: boolean;
}

/** Example of each row: those of the batch, then the same again from the first on. */
export function examplesOfRows({ indices }: Batch, rows: number): number[] {
  if (indices.length === 0 || rows < indices.length) throw internal(`${indices.length} examples in ${rows} rows`);
  return Array.from({ length: rows }, (_, row) => indices[row % indices.length] as number);
}

/** Tensors of a batch. Filler rows repeat the examples of the batch from the first on, so nothing in them is degenerate. */
export function collate(encoded: EncodedExamples, batch: Batch, options: CollateOptions = {}): BatchTensors {
  const { indices, length } = batch;
  const rows = options.rows ?? indices.length;
  const examples = examplesOfRows(batch, rows);
  const ids = new BigInt64Array(rows * length).fill(BigInt(encoded.padId));
  const mask = new BigInt64Array(rows * length);
  const typeIds = new BigInt64Array(rows * length);
  for (const [row, example] of examples.entries()) {
    const start = encoded.offsets[example] as number;
    const count = (encoded.offsets[example + 1] as number) - start;
    if (count > length) throw internal(`example ${example} has ${count} tokens, the batch ${length}`);
    for (let i = 0; i < count; i++) {
      ids[row * length + i] = BigInt(encoded.ids[start + i] as number);
      typeIds[row * length + i] = BigInt(encoded.typeIds[start + i] as number);
    }
    mask.fill(1n, row * length, row * length + count);
  }
  const labels = examples.map((example) => encoded.labels[example] as number);
  return {
    input_ids: tensor('int64', [rows, length], ids),
    attention_mask: tensor('int64', [rows, length], mask),
    token_type_ids: tensor('int64', [rows, length], typeIds),
    weights: tensor('float32', [rows], new Float32Array(rows).fill(1, 0, indices.length)),
    labels: options.regression
      ? tensor('float32', [rows], Float32Array.from(labels))
      : tensor('int64', [rows], BigInt64Array.from(labels, BigInt)),
  };
}
