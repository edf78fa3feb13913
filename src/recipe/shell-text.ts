/** Words of a command line as text that a shell takes apart into the same words. */

/** In quotes of POSIX where a word needs them; joined by spaces. */
export function shellText(words: readonly string[]): string {
  return words.map((word) => (/^[\w./:=,%@+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}
