/** Short names that tell the models of one run apart. */
import { resolve, sep } from 'node:path';

/**
 * As many of the last parts of each path as it takes to tell them apart; the same path again is numbered.
 * `runs/teacher`, `runs/small` and `runs/small` give `teacher`, `small` and `small (2)`.
 */
export function modelNames(refs: readonly string[]): string[] {
  // A name of shapes is no path.
  const paths = refs.map((ref) => (ref.startsWith('config:') ? [ref] : resolve(ref).split(sep).filter(Boolean)));
  const different = new Set(paths.map((path) => path.join(sep))).size;
  const deepest = Math.max(...paths.map((path) => path.length));
  for (let depth = 1; ; depth++) {
    const names = paths.map((path) => path.slice(-depth).join('/'));
    if (new Set(names).size === different || depth >= deepest) return numbered(names);
  }
}

function numbered(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name} (${count})`;
  });
}
