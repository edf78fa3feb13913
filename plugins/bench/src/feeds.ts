/** From rows of text to the tensors that one model reads, in either process of a measurement. */
import { collate, encodedLengths, encodeExamples, type Tokenizer } from 'kdx/data';
import { numbersOf, tensorOf, type Tensor } from 'kdx/graph';
import type { ModelInput } from './bench-source.ts';
import type { Row } from './stopwatch-messages.ts';

/** Tensors by input, [batch, length of the longest row]. */
export type Feeds = Readonly<Record<string, Tensor<'int32' | 'int64'>>>;

/** @throws KdxError `invalid-max-length` */
export function textFeeds(
  tokenizer: Tokenizer,
  rows: readonly Row[],
  inputs: readonly ModelInput[],
  maxLength: number,
): Feeds {
  const examples = rows.map((row, id) => ({ ...row, id, label: 0 }));
  const encoded = encodeExamples(tokenizer, examples, maxLength);
  const length = Math.max(...encodedLengths(encoded));
  const tensors = collate(encoded, { indices: examples.map(({ id }) => id), length });
  return feedsOf(inputs, tensors);
}

/** Of the three tensors those that the model has, in its type. */
export function feedsOf(
  inputs: readonly ModelInput[],
  tensors: Readonly<Record<'input_ids' | 'attention_mask' | 'token_type_ids', Tensor<'int64'>>>,
): Feeds {
  return Object.fromEntries(
    inputs.map(({ name, dtype }) => {
      const value = tensors[name as keyof typeof tensors];
      return [name, dtype === 'int64' ? value : tensorOf('int32', value.dims, numbersOf(value))];
    }),
  );
}
