/** Special tokens around one text or two. */
import type { Tokenizer as Library } from '@huggingface/tokenizers';
import type { Encoding } from './tokenizer.ts';

/** Where the special tokens stand around one text or two, learned from the library by two words of its own. */
export interface SpecialFrame {
  /** Number of special tokens. */
  readonly count: number;
  fill(first: readonly number[], second: readonly number[]): Encoding;
}

/** @param hasTypes whether the second text is of another type: the library says so of RoBERTa too, where all are 0 */
export function specialFrame(library: Library, isPair: boolean, hasTypes: boolean): SpecialFrame {
  const texts = isPair ? ['\0first', '\0second'] : ['\0first'];
  const processed = library.post_processor?.post_process([texts[0] as string], texts[1] ?? null, true) as
    { tokens: string[]; token_type_ids?: number[] } | undefined;
  const parts = (processed?.tokens ?? texts).map((token, i) => {
    const id = texts.includes(token) ? undefined : library.token_to_id(token);
    if (id === undefined && !texts.includes(token)) throw new Error(`the special token ${token} has no id`);
    const typeId = (hasTypes && processed?.token_type_ids?.[i]) || 0;
    if (typeId !== 0 && typeId !== 1) throw new Error(`its post_processor gives a text the type ${typeId}, not 0 or 1`);
    return { token, id, typeId };
  });
  return {
    count: parts.length - texts.length,
    fill(first, second) {
      const ids: number[] = [];
      const typeIds: number[] = [];
      for (const { token, id, typeId } of parts) {
        for (const each of id !== undefined ? [id] : token === texts[0] ? first : second) {
          ids.push(each);
          typeIds.push(typeId);
        }
      }
      return { ids, typeIds };
    },
  };
}
