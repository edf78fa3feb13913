/** Short names that tell the models of one run apart. */
import { basename, resolve, sep } from 'node:path';

/**
 * As many of the last parts of each path as it takes to tell them apart; the same path again is numbered.
 * `runs/teacher`, `runs/small` and `runs/small` give `teacher`, `small` and `small (2)`;
 * `a/onnx/model.onnx` and `a/onnx/model_quantized.onnx` give `a` and `model_quantized`.
 */
export function modelNames(refs: readonly string[]): string[] {
  const paths = refs.map(partsOf);
  const different = new Set(paths.map((path) => path.join(sep))).size;
  const deepest = Math.max(...paths.map((path) => path.length));
  for (let depth = 1; ; depth++) {
    const names = paths.map((path) => path.slice(-depth).join('/'));
    if (new Set(names).size === different || depth >= deepest) return numbered(names);
  }
}

/** A name of shapes is no path; a file of an export goes by its folder, all but the float one with its own name. */
function partsOf(ref: string): string[] {
  if (ref.startsWith('config:')) return [ref];
  const parts = resolve(ref).split(sep).filter(Boolean);
  const [folder, file = ''] = parts.slice(-2);
  if (folder !== 'onnx' || !file.endsWith('.onnx')) return parts;
  const name = basename(file, '.onnx');
  return [...parts.slice(0, -2), ...(name === 'model' ? [] : [name])];
}

function numbered(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name} (${count})`;
  });
}
