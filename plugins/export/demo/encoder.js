// Texts to token ids, as `kdx predict` makes them: with the same truncation and the same special tokens.

/**
 * @typedef {{ ids: number[], typeIds: number[], tokens: number }} Encoding `tokens` is what the texts have before they are
 *   cut, special tokens included.
 * @typedef {{ token: string, id: number | undefined, typeId: number }} Part `id` is undefined where a text stands.
 */

/**
 * @param {any} Tokenizer of @huggingface/tokenizers
 * @param {any} tokenizer content of tokenizer.json
 * @param {any} config content of tokenizer_config.json
 * @param {number} maxLength
 * @returns {(text: string, pair?: string) => Encoding}
 */
export function createEncoder(Tokenizer, tokenizer, config, maxLength) {
  const library = new Tokenizer(tokenizer, config);
  const prepare = preparation(tokenizer.normalizer);
  // The library says of a second text that it is of another type, which is not so here.
  const hasTypes = tokenizer.post_processor?.type !== 'RobertaProcessing';
  const [single, double] = [['\0first'], ['\0first', '\0second']].map((texts) => frame(library, texts, hasTypes));
  /** @returns {number[]} */
  const idsOf = (/** @type {string} */ text) => library.encode(prepare(text), { add_special_tokens: false }).ids;

  return (text, pair) => {
    const parts = pair === undefined ? single : double;
    const texts = pair === undefined ? [idsOf(text)] : [idsOf(text), idsOf(pair)];
    const special = parts.filter(({ id }) => id !== undefined).length;
    const [first = [], second = []] = texts;
    const [keepFirst, keepSecond] = longestFirst(first.length, second.length, maxLength - special);
    const kept = [first.slice(0, keepFirst), second.slice(0, keepSecond)];
    /** @type {Encoding} */
    const encoding = { ids: [], typeIds: [], tokens: special + first.length + second.length };
    for (const { id, token, typeId } of parts)
      for (const each of id !== undefined ? [id] : (kept[token === '\0first' ? 0 : 1] ?? [])) {
        encoding.ids.push(each);
        encoding.typeIds.push(typeId);
      }
    return encoding;
  };
}

/**
 * Where the special tokens stand around texts.
 * @param {any} library
 * @param {string[]} texts
 * @param {boolean} hasTypes
 * @returns {Part[]}
 */
function frame(library, texts, hasTypes) {
  const processed = library.post_processor?.post_process([texts[0]], texts[1] ?? null, true);
  return (processed?.tokens ?? texts).map((/** @type {string} */ token, /** @type {number} */ i) => ({
    token,
    id: texts.includes(token) ? undefined : library.token_to_id(token),
    typeId: (hasTypes && processed?.token_type_ids?.[i]) || 0,
  }));
}

/**
 * How many tokens of each text are kept when both together may have `budget`.
 * @param {number} first
 * @param {number} second
 * @param {number} budget
 */
function longestFirst(first, second, budget) {
  if (first + second <= budget) return [first, second];
  const shorter = Math.min(first, second, Math.floor(budget / 2));
  return first > second ? [budget - shorter, shorter] : [shorter, budget - shorter];
}

/**
 * Multiples of 8 up to 64, of 16 up to 128, of 32 beyond.
 * @param {number} length
 * @param {number} maxLength
 */
export function paddedLength(length, maxLength) {
  const step = length <= 64 ? 8 : length <= 128 ? 16 : 32;
  return Math.min(maxLength, Math.ceil(length / step) * step);
}

const supplementaryHan =
  /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/**
 * What the library leaves out of BertNormalizer: spaces around rare ideographs, and a final sigma in lower case.
 * @param {any} normalizer
 * @returns {(text: string) => string}
 */
function preparation(normalizer) {
  if (normalizer?.type !== 'BertNormalizer') return (text) => text;
  return (text) => {
    const separated = normalizer.handle_chinese_chars === true ? text.replace(supplementaryHan, ' $& ') : text;
    return normalizer.lowercase === true ? separated.replaceAll('\u03a3', '\u03c3') : separated;
  };
}
