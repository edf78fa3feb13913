/** One process per run: a lock file that names its holder, so that the lock of a dead process is recognised. */
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';

export const lockName = 'run.lock';

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** What tells this process from a later one with the same number; empty where the platform does not say. */
  readonly birth: string;
}

/** A lock file without content is being written, or was left by a process killed in that instant. */
const writingTime = 5000;

/**
 * Takes the lock of a folder; returns what gives it back, once.
 * @throws KdxError `run-locked` when a living process holds it
 */
export function lockFolder(folder: string): Promise<() => Promise<void>> {
  return lockFile(join(folder, lockName), folder);
}

/** The same by a file of any name. @param what is locked, for people */
export async function lockFile(path: string, what: string): Promise<() => Promise<void>> {
  const own: Holder = { pid: process.pid, host: hostname(), birth: await birthOf(process.pid) };
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await writeFile(path, JSON.stringify(own), { flag: 'wx' });
      let held = true;
      return async () => {
        if (held) await rm(path, { force: true });
        held = false;
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(error, path);
    }
    if (!(await isStale(path))) break;
    await rm(path, { force: true });
  }
  throw await locked(what, path);
}

async function isStale(path: string): Promise<boolean> {
  const holder = await readHolder(path);
  if (!holder) {
    const written = await stat(path).catch(() => undefined);
    return written === undefined || Date.now() - written.mtimeMs > writingTime;
  }
  if (holder.host !== hostname()) return false;
  return !isAlive(holder.pid) || (await birthOf(holder.pid)) !== holder.birth;
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** On Linux: the boot and the clock tick at which the process began (proc(5), field 22 of stat). */
async function birthOf(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    // The second field is a name in parentheses and may hold spaces.
    return `${boot.trim()}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return '';
  }
}

async function locked(what: string, path: string): Promise<KdxError> {
  const holder = await readHolder(path);
  const who = holder ? `process ${holder.pid} on ${holder.host}` : 'another process';
  return new KdxError('run-locked', `${what} is in use by ${who}`, {
    suggestions: ['wait for it, or use another --out', `if that process no longer exists, delete ${path}`],
  });
}
