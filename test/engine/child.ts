/** Runs a piece of TypeScript in a process of its own, from the folder of these tests. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ChildResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process that hangs is ended, with no exit code, so that its test fails and the others run. */
const HANG_MS = 240_000;

/** @param source a module; may import from `./` and await at the top */
export function runChild(source: string, flags: readonly string[] = []): Promise<ChildResult> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const args = ['--conditions=source', '--import', 'tsx', ...flags, '--input-type=module', '--eval', source];
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: HANG_MS,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
