/** Runs programs of the project in a process of their own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compiledKdx } from './compiled.ts';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Called when something was written to stderr, with all of it so far. */
  readonly onStderr?: (child: ChildProcess, text: string) => void;
}

/** @param words of Node: options, a script and its arguments */
export function runNode(words: readonly string[], { env = {}, onStderr }: RunOptions = {}): Promise<Outcome> {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(NODE_|DEBUG|KDX_)/.test(name)),
  );
  const child = spawn(process.execPath, words, { env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString();
    onStderr?.(child, stderr);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** kdx from its compiled files, which starts in a third of the time that sources take. */
export function runKdx(words: readonly string[], options?: RunOptions): Promise<Outcome> {
  return runNode([compiledKdx(), ...words], options);
}

/** A script of the project, from sources. */
export function runSource(script: string, words: readonly string[], options?: RunOptions): Promise<Outcome> {
  const path = fileURLToPath(new URL(`../../${script}`, import.meta.url));
  return runNode(['--conditions=source', '--import', import.meta.resolve('tsx'), path, ...words], options);
}
