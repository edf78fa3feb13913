/** Text before @huggingface/tokenizers, where its BertNormalizer differs from the Rust library. */
import type { Json } from './special-tokens.ts';

/** Han ideographs beyond the basic plane, in the ranges of the `tokenizers` library of Hugging Face. */
const supplementaryHan =
  /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

const ascii = /^[\0-\x7f]*$/;

/**
 * What BertNormalizer of the Rust library does and the JavaScript one does not: spaces around every ideograph, and
 * lower case letter by letter (JavaScript writes a final sigma at the end of a word).
 */
export function preparation(normalizer: Json | null): (text: string) => string {
  if (normalizer?.['type'] !== 'BertNormalizer') return (text) => text;
  const spaced = normalizer['handle_chinese_chars'] === true;
  const lower = normalizer['lowercase'] === true;
  return (text) => {
    if (ascii.test(text)) return text;
    const separated = spaced ? text.replace(supplementaryHan, ' $& ') : text;
    return lower ? separated.replaceAll('\u03a3', '\u03c3') : separated;
  };
}
