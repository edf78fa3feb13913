/** The scripts of this plugin that run in processes of their own. */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Words after `node` that run a script beside this file. It has this file's extension: compiled JavaScript, or
 * TypeScript that tsx loads (which costs time and memory of its own, so only compiled figures are for publication).
 */
export function childScript(name: string): string[] {
  const extension = extname(import.meta.url);
  const loader = extension === '.ts' ? ['--conditions=source', '--import', import.meta.resolve('tsx')] : [];
  return [...loader, fileURLToPath(new URL(`./${name}${extension}`, import.meta.url))];
}
