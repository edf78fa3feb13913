/** English function words, which are never replaced; and lists of one's own. */
import { readFile } from 'node:fs/promises';
import { KdxError } from 'kdx/errors';
import { fileError } from 'kdx/files';

/** Wh-words are missing on purpose: the published method replaces them. Contractions are in the parts that BERT splits them into. */
const byCategory: Readonly<Record<string, string>> = {
  articles: 'a an the',
  personalPronouns: 'i me you he him she her it we us they them',
  possessives: 'my mine your yours his hers its our ours their theirs',
  reflexives: 'myself yourself himself herself itself ourselves yourselves themselves',
  demonstratives: 'this that these those here there then',
  be: 'am is are was were be been being',
  have: 'have has had having',
  do: 'do does did doing done',
  modals: 'can could may might must shall should will would cannot',
  negations: 'no not nor never neither',
  conjunctions: 'and or but if because while although though unless until than as so',
  prepositions:
    'of in on at by for from to with without into onto within about above below over under after before during between through against among across off up down out upon',
  quantifiers: 'all any both each every few more most much many other some such same own several',
  adverbs: 'again also further just now once only too very',
  negatedVerbs:
    'ain aren couldn didn doesn don hadn hasn haven isn mightn mustn needn shan shouldn wasn weren won wouldn',
  contractedEndings: 's t d m o y ll re ve',
};

export const englishStopWords: ReadonlySet<string> = new Set(
  Object.values(byCategory).flatMap((words) => words.split(' ')),
);

/**
 * One word per line, case ignored; empty lines and lines that begin with `#` are left out.
 * @throws KdxError `invalid-stop-words`, `file-not-found`, ...
 */
export async function readStopWords(path: string): Promise<ReadonlySet<string>> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError(error, path);
  });
  const words = new Set<string>();
  for (const [index, source] of text
    .replace(/^\ufeff/, '')
    .split('\n')
    .entries()) {
    const word = source.trim().toLowerCase();
    if (word === '' || word.startsWith('#')) continue;
    if (/\s/.test(word))
      throw new KdxError('invalid-stop-words', `${path}:${index + 1}: "${word}" is more than one word`, {
        suggestions: ['one word per line; lines that begin with # are comments'],
      });
    words.add(word);
  }
  return words;
}
