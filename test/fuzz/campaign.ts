/** A range of seeds, read in a process of its own that is watched: a crash or a hang is a fault of its seed. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Report } from './worker.ts';

export interface Fault {
  readonly seed: number;
  readonly what: string;
  readonly fault: string;
}

export interface Outcome {
  readonly mutations: number;
  /** Those that a reader refused; the others were read. */
  readonly refused: number;
  readonly faults: readonly Fault[];
}

/** Without a word from the process for so long, it hangs. */
const HANG_MS = 30_000;
/** Heap of the process in MiB: what allocates without bound dies of it. */
const HEAP_MIB = 1024;

const worker = fileURLToPath(new URL('worker.ts', import.meta.url));

/** Seeds `from` to `from + count - 1`. */
export async function runCampaign(
  from: number,
  count: number,
  onReport: (report: Report) => void = () => undefined,
): Promise<Outcome> {
  const to = from + count;
  const faults: Fault[] = [];
  let refused = 0;
  for (let next = from; next < to;) {
    let current: { seed: number; what: string } | undefined;
    const end = await runWorker(next, to, (report) => {
      if (report.type === 'begin') current = report;
      if (report.type === 'end') {
        const what = current?.what ?? '';
        faults.push(...report.faults.map((fault) => ({ seed: report.seed, what, fault })));
        if (report.refused) refused++;
        next = report.seed + 1;
        current = undefined;
      }
      onReport(report);
    });
    if (current === undefined) {
      if (next < to) throw new Error(`the process of the mutations ended before seed ${next}: ${end}`);
    } else {
      faults.push({ ...current, fault: end });
      next = current.seed + 1;
    }
  }
  return { mutations: count, refused, faults };
}

/** How the process ended, in words. */
async function runWorker(from: number, to: number, onReport: (report: Report) => void): Promise<string> {
  const options = { execArgv: [...process.execArgv, `--max-old-space-size=${HEAP_MIB}`], stdio: 'pipe' as const };
  const child = fork(worker, [String(from), String(to)], { ...options, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const last: string[] = [];
  child.stderr?.setEncoding('utf8').on('data', (text: string) => last.splice(0, last.length - 20, text));
  child.stdout?.resume();
  return new Promise((resolve) => {
    let hangs = false;
    const kill = () => {
      hangs = true;
      child.kill('SIGKILL');
    };
    let timer = setTimeout(kill, HANG_MS);
    child.on('message', (report: Report) => {
      clearTimeout(timer);
      timer = setTimeout(kill, HANG_MS);
      onReport(report);
    });
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      resolve(hangs ? `hangs for ${HANG_MS} ms` : `ends with ${signal ?? code}\n${last.join('').slice(-2000)}`);
    });
  });
}
