/** Warm-up of one subject: the first run is kept apart, the later ones tell how many runs make a sample. */
import { setImmediate as turn } from 'node:timers/promises';
import { median } from './statistics.ts';

export interface WarmUpOptions {
  readonly seconds: number;
  readonly runs: number;
  readonly signal: AbortSignal | undefined;
  readonly now: () => number;
}

export interface WarmUp {
  readonly firstInferenceMs: number;
  /** Median. */
  readonly runMs: number;
  readonly runsPerSample: number;
}

/** A sample shorter than this (milliseconds) would measure the clock and the call. */
const MIN_SAMPLE_MS = 1;

/**
 * One run of what is measured. It may give the milliseconds it took where it knows them better than the clock around it.
 * @param turn from 0, which of the inputs that take turns: in a round the same for all subjects
 */
export type Run = (turn: number) => Promise<number | void>;

/** Milliseconds of one run: what it says itself, or what passes on the clock. */
export async function timeOf(run: Run, turn: number, now: () => number): Promise<number> {
  const begin = now();
  const own = await run(turn);
  return own ?? now() - begin;
}

/** Runs until both the time and the number of runs are reached; undefined when interrupted. */
export async function warmUp(run: Run, { seconds, runs, signal, now }: WarmUpOptions): Promise<WarmUp | undefined> {
  const begin = now();
  const times: number[] = [];
  do {
    // Lets signals and timers in, also when no run ever leaves the microtask queue.
    await turn();
    if (signal?.aborted) return undefined;
    times.push(await timeOf(run, times.length, now));
  } while (times.length < runs || now() - begin < seconds * 1000);
  const runMs = median(times);
  return {
    firstInferenceMs: times[0] as number,
    runMs,
    runsPerSample: Math.max(1, Math.ceil(MIN_SAMPLE_MS / runMs)),
  };
}
