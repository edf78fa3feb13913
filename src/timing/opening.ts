/** One opening of all subjects: their warm-up, and the rounds in which they take turns. */
import { setImmediate as turn } from 'node:timers/promises';
import { timeOf, warmUp, type Run, type WarmUp } from './warm-up.ts';

/** All that is measured, open at the same time, in memory of its own. */
export interface Opening {
  /** In the order asked for. */
  readonly runs: readonly Run[];
  close(): void | Promise<void>;
}

/** What is collected of a subject or of the control, over all openings. */
export interface Lane {
  readonly name: string;
  readonly firstMs: number[];
  readonly samplesMs: number[];
}

/** What the first opening settles for all. */
export interface RoundPlan {
  /** By name. */
  readonly runsPerSample: ReadonlyMap<string, number>;
  readonly rounds: number;
}

export interface OpeningOptions {
  readonly signal: AbortSignal | undefined;
  readonly now: () => number;
}

export interface WarmUpLeast {
  readonly seconds: number;
  readonly runs: number;
  readonly onDone?: (count: number) => void;
}

/** @param order the lanes as they were opened; undefined when interrupted */
export async function warmUpAll(
  order: readonly Lane[],
  { runs }: Opening,
  { onDone, ...least }: WarmUpLeast,
  options: OpeningOptions,
): Promise<WarmUp[] | undefined> {
  const found: WarmUp[] = [];
  for (const [i, { firstMs }] of order.entries()) {
    const warm = await warmUp(runs[i] as Run, { ...least, ...options });
    if (!warm) return undefined;
    firstMs.push(warm.firstInferenceMs);
    found.push(warm);
    onDone?.(found.length);
  }
  return found;
}

/**
 * One sample of each lane in the order given, milliseconds per run; undefined when interrupted. Each follows an untimed
 * run of the same lane, as in a program that runs nothing else: the others would have emptied the caches. That one reads
 * the next round's input, so that none is timed more often than another.
 */
export async function timeRound(
  lanes: readonly { readonly lane: Lane; readonly run: Run }[],
  round: number,
  { runsPerSample }: RoundPlan,
  { signal, now }: OpeningOptions,
): Promise<number[] | undefined> {
  // Lets signals and timers in, also when no run ever leaves the microtask queue.
  await turn();
  const times: number[] = [];
  for (const { lane, run } of lanes) {
    if (signal?.aborted) return undefined;
    await run(round + 1);
    const count = runsPerSample.get(lane.name) ?? 1;
    let total = 0;
    for (let i = 0; i < count; i++) total += await timeOf(run, round, now);
    times.push(total / count);
  }
  return times;
}
