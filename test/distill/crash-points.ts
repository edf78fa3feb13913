/** What a killed process may leave of a folder: a copy of it before each change of a file, and amid each appended text. */
import { cpSync } from 'node:fs';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join, relative } from 'node:path';

const changes = ['rename', 'rm', 'appendFile', 'writeFile'] as const;

type Change = (path: string, ...rest: unknown[]) => Promise<unknown>;

/**
 * Does the work and takes the copies, in `copies` under names that say what came next; returns these names in order.
 * What a process writes is there after SIGKILL, so going on from a copy is going on after a kill at that point.
 */
export async function crashPoints(folder: string, copies: string, work: () => Promise<unknown>): Promise<string[]> {
  const names: string[] = [];
  const copy = (next: string) => {
    const name = `${String(names.length).padStart(2, '0')} ${next}`;
    cpSync(folder, join(copies, name), { recursive: true });
    names.push(name);
    return join(copies, name);
  };
  const original = Object.fromEntries(changes.map((change) => [change, fs[change]])) as Record<string, Change>;
  const append = original['appendFile'] as Change;
  const watched = (change: string): Change => {
    return async (path, ...rest) => {
      const target = String(change === 'rename' ? rest[0] : path);
      if (!relative(folder, target).startsWith('..') && target !== folder) {
        copy(`${change} ${basename(target)}`);
        if (change === 'appendFile') {
          const torn = copy(`amid ${change} ${basename(target)}`);
          const text = String(rest[0]);
          await append(join(torn, basename(target)), text.slice(0, Math.ceil(text.length / 2)));
        }
      }
      return (original[change] as Change)(path, ...rest);
    };
  };
  try {
    for (const change of changes) Object.assign(fs, { [change]: watched(change) });
    syncBuiltinESMExports();
    await work();
  } finally {
    Object.assign(fs, original);
    syncBuiltinESMExports();
  }
  return names;
}

/** Makes the locks in a copied folder those of a process that is no more. */
export async function abandonLocks(folder: string): Promise<void> {
  for (const name of await fs.readdir(folder, { recursive: true })) {
    if (!name.endsWith('.lock')) continue;
    const path = join(folder, name);
    const holder = JSON.parse(await fs.readFile(path, 'utf8')) as object;
    await fs.writeFile(path, JSON.stringify({ ...holder, birth: 'gone' }));
  }
}
