/** The compiled kdx, which stands for the sources only while it is newer than all of them. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
let checked = false;

/**
 * bin/run.js.
 * @throws when a source has been changed since it was compiled: `npm test` compiles, a single file run by hand does not
 */
export function compiledKdx(): string {
  if (!checked) {
    const stale = staleSource(root);
    if (stale !== undefined) throw new Error(`${stale} is newer than the compiled files; compile them: npm run build`);
    checked = true;
  }
  return join(root, 'bin/run.js');
}

/** A source below `folder`, of its root package or of a plugin, that has been changed since it was compiled. */
export function staleSource(folder: string): string | undefined {
  const { workspaces } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { workspaces: string[] };
  for (const name of ['.', ...workspaces]) {
    const at = join(folder, name);
    // A build renews it also for a source that was only touched.
    const compiled = statSync(join(at, 'dist/.tsbuildinfo'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    for (const path of readdirSync(join(at, 'src'), { recursive: true, encoding: 'utf8' })) {
      const source = join(at, 'src', path);
      if (path.endsWith('.ts') && statSync(source).mtimeMs > compiled) return source;
    }
  }
  return undefined;
}
