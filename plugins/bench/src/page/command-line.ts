/** The words of a command as one line for a shell. */

/** Words that change what is printed, not what is measured. */
const silent = new Set(['--json', '--quiet', '-q']);

/** The words that repeat a run. @param words those after `kdx bench` */
export function repeatable(words: readonly string[]): string[] {
  return ['kdx', 'bench', ...words.filter((word) => !silent.has(word))];
}

/** In quotes of POSIX where a word needs them. */
export function shellText(words: readonly string[]): string {
  return words.map((word) => (/^[\w./:=,%@+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}
