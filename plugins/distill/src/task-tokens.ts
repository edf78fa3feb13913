/** A data set in the tokens of each model: a teacher may have another tokenizer than its student. */
import { encodeExamples, type EncodedExamples, type TaskData, type Tokenizer } from 'kdx/data';

export type Split = 'train' | 'dev';

/** Examples in the tokens of a tokenizer; equal tokenizers read a split once, when it is first asked for. */
export type TaskTokens = (tokenizer: Tokenizer, split: Split) => EncodedExamples;

export function taskTokens(data: TaskData, maxLength: number): TaskTokens {
  const known = new Map<string, EncodedExamples>();
  return (tokenizer, split) => {
    const key = `${tokenizer.hash} ${split}`;
    const found = known.get(key) ?? encodeExamples(tokenizer, data[split], maxLength);
    known.set(key, found);
    return found;
  };
}
