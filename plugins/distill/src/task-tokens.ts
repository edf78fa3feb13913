/** A data set in the tokens of each model: a teacher may have another tokenizer than its student. */
import { encodeExamples, type EncodedExamples, type TaskData, type Tokenizer } from 'kdx/data';

export interface TaskTokens {
  readonly train: EncodedExamples;
  readonly dev: EncodedExamples;
}

/** Training and development examples in the tokens of a tokenizer; equal tokenizers read them once. */
export function taskTokens(data: TaskData, maxLength: number): (tokenizer: Tokenizer) => TaskTokens {
  const known = new Map<string, TaskTokens>();
  return (tokenizer) => {
    const found = known.get(tokenizer.hash);
    if (found) return found;
    const read = (examples: TaskData['train']) => encodeExamples(tokenizer, examples, maxLength);
    const tokens = { train: read(data.train), dev: read(data.dev) };
    known.set(tokenizer.hash, tokens);
    return tokens;
  };
}
