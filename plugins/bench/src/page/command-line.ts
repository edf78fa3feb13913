/** The words of a command that repeats a run. */

/** Words that change what is printed, not what is measured. */
const silent = new Set(['--json', '--quiet', '-q']);

/** The words that repeat a run. @param words those after `kdx bench` */
export function repeatable(words: readonly string[]): string[] {
  return ['kdx', 'bench', ...words.filter((word) => !silent.has(word))];
}
