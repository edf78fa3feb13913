/** Scripts that run in processes of their own. */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { moduleBeside } from './host.ts';

/**
 * Words after `node` that run a script in the folder of a module. It has the module's extension: compiled JavaScript, or
 * TypeScript that tsx loads (which costs time and memory of its own, so only compiled figures are for publication).
 * @param address `import.meta.url` of the module
 */
export function childScript(address: string, name: string): string[] {
  const isSource = extname(address) === '.ts';
  const loader = isSource ? ['--conditions=source', '--import', import.meta.resolve('tsx')] : [];
  return [...loader, fileURLToPath(moduleBeside(address, name))];
}
