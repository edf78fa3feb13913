/**
 * Measures several subjects against a reference: opened anew several times, run in rounds of random order, paired by
 * round, with an A/A control.
 */
import { randomStream } from '../data/index.ts';
import { internal } from '../errors/index.ts';
import { silentProgress, type Progress } from '../progress/index.ts';
import { latencyOf, type Latency } from './latency.ts';
import { timeRound, warmUpAll, type Lane, type Opening, type RoundPlan } from './opening.ts';
import { MIN_OPENINGS } from './sections.ts';
import { coversOne, halfWidth, pairedSpeedup, type Speedup } from './speedup.ts';
import { median } from './statistics.ts';
import type { Run, WarmUp } from './warm-up.ts';

export type { Opening } from './opening.ts';
export type { Run } from './warm-up.ts';

export interface MeasurementOptions {
  /** Of the subjects, each once. */
  readonly names: readonly string[];
  /** The subject that the others are compared with. */
  readonly reference: string;
  /**
   * Opens the subjects anew, one after the other in this order, preferably in a new process. The reference is named
   * twice: the other one is the control.
   */
  open(names: readonly string[]): Promise<Opening>;
  readonly seed: number;
  /** Ends the measurement once it is used up and `minOpenings` are made; default 30. */
  readonly budgetSeconds?: number;
  /** Made whatever the budget, at least 3; default 6. */
  readonly minOpenings?: number;
  /** Of each opening, default 20; fewer, but at least 5, when `minOpenings` would take longer than the budget. */
  readonly roundsPerOpening?: number;
  /** Stop when every speed-up's 95 % interval is within this fraction of its centre; default 0.02. */
  readonly targetHalfWidth?: number;
  /** Rounds before that is looked at; default those of `minOpenings`. A 90th percentile wants 200. */
  readonly targetRounds?: number;
  /** In the first opening, each subject runs for at least so long and so often before it is measured; default 1 s, 10. */
  readonly warmUpSeconds?: number;
  readonly warmUpRuns?: number;
  /** Ends the measurement after the run at hand; the complete rounds are kept. */
  readonly signal?: AbortSignal;
  readonly progress?: Progress;
  /** Clock in milliseconds; default `performance.now`. */
  readonly now?: () => number;
}

/** Why the rounds ended. */
export type StopReason = 'target half-width reached' | 'time budget used' | 'round limit reached' | 'interrupted';

export interface SubjectResult {
  readonly name: string;
  /** The first run of an opening, milliseconds, median of the openings; not among the samples. */
  readonly firstInferenceMs: number;
  /** Runs timed together for one sample (more than 1 for runs below a millisecond). */
  readonly runsPerSample: number;
  /** Milliseconds per run, one sample per round. */
  readonly samplesMs: readonly number[];
  readonly latencyMs: Latency;
  /** Against the reference; `null` for the reference itself. */
  readonly speedup: Speedup | null;
}

/** The reference opened and measured a second time: its speed-up must cover 1. */
export interface Control {
  readonly samplesMs: readonly number[];
  readonly speedup: Speedup;
  /** False: the machine was too unsteady for this run's comparisons to be believed. */
  readonly valid: boolean;
}

export interface Measurement {
  readonly reference: string;
  /** In the order given. */
  readonly subjects: readonly SubjectResult[];
  readonly control: Control;
  readonly rounds: number;
  /** Rounds of each opening. */
  readonly openings: readonly number[];
  readonly seconds: number;
  readonly stopReason: StopReason;
  /** Interrupted: fewer rounds than asked for. */
  readonly partial: boolean;
  readonly seed: number;
}

/** What rounds leave of a subject, before any statistics. */
export interface RawSeries extends Pick<SubjectResult, 'name' | 'firstInferenceMs' | 'runsPerSample'> {
  /** Milliseconds per run, one sample per round. */
  readonly samplesMs: readonly number[];
}

/** Rounds as they were measured, here or elsewhere. */
export interface RawMeasurement extends Pick<
  Measurement,
  'reference' | 'openings' | 'seconds' | 'stopReason' | 'seed'
> {
  /** The reference among them; all, and the control, with as many samples as the openings have rounds. */
  readonly subjects: readonly RawSeries[];
  /** The series of the reference's second opening. */
  readonly controlMs: readonly number[];
}

const defaults = {
  budgetSeconds: 30,
  minOpenings: 6,
  roundsPerOpening: 20,
  targetHalfWidth: 0.02,
  warmUpSeconds: 1,
  warmUpRuns: 10,
  progress: silentProgress,
  now: () => performance.now(),
};

type Settings = MeasurementOptions & typeof defaults;

const MIN_ROUNDS = 5;

/** Warm-up of later openings: the machine is warm, only their memory is not. */
const LATER_SECONDS = 0.05;
const LATER_RUNS = 3;

/**
 * Measures until every speed-up is known to the target half-width or the time budget is used. Two sessions of one file
 * differ by where their memory lies, and stay different for as long as they are open: what is measured is opened anew,
 * in random order, until the difference can be told from that.
 *
 * All subjects get the same number of samples. Run times must not depend on each other: one subject runs at a time.
 * @throws the signal's reason when it comes before the first round is complete; what `open` and runs throw, as it is
 */
export async function measure(options: MeasurementOptions): Promise<Measurement> {
  const settings = { ...defaults, ...options };
  const { names, reference, seed, signal, progress, now, budgetSeconds, minOpenings, targetHalfWidth } = settings;
  if (new Set(names).size !== names.length) throw internal('two subjects share a name');
  if (minOpenings < MIN_OPENINGS) throw internal(`minOpenings ${minOpenings} is below ${MIN_OPENINGS}`);
  const lanes = names.map((name): Lane => ({ name, firstMs: [], samplesMs: [] }));
  const control: Lane = { name: reference, firstMs: [], samplesMs: [] };
  const referenceMs = lanes.find(({ name }) => name === reference)?.samplesMs;
  if (!referenceMs) throw internal(`no subject is named ${reference}`);

  const compared = [...lanes.filter(({ name }) => name !== reference), control];
  const openings: number[] = [];
  const isPrecise = (): boolean =>
    compared.every(({ samplesMs }) => halfWidth(pairedSpeedup(referenceMs, samplesMs, openings)) <= targetHalfWidth);
  const random = randomStream(seed, 'bench-order');
  const run = { signal, now };
  let plan: RoundPlan | undefined;
  let begin = now();
  const elapsed = (): number => (now() - begin) / 1000;
  let nextCheck = minOpenings;
  let stopReason: StopReason | undefined;

  progress.start('warm up', names.length + 1);
  while (!stopReason) {
    const order = random.shuffle([...lanes, control]);
    const openBegin = now();
    const opening = await openUnlessAborted(settings, order);
    if (!opening) break;
    const openSeconds = (now() - openBegin) / 1000;
    let rounds = 0;
    try {
      const warm = await warmUpAll(order, opening, leastWarmUp(settings, plan), run);
      if (!warm) break;
      if (!plan) {
        plan = planOf(order, warm, settings, openSeconds);
        progress.end();
        progress.start('measure (seconds)', budgetSeconds);
        begin = now();
      }
      const turns = order.map((lane, i) => ({ lane, run: opening.runs[i] as Run }));
      for (; rounds < plan.rounds; rounds++) {
        random.shuffle(turns);
        const times = await timeRound(turns, referenceMs.length, plan, run);
        if (!times) break;
        turns.forEach(({ lane }, i) => lane.samplesMs.push(times[i] as number));
        progress.update(Math.min(Math.floor(elapsed()), budgetSeconds), { rounds: referenceMs.length });
      }
    } finally {
      await opening.close();
    }
    if (rounds > 0) openings.push(rounds);
    if (rounds < plan.rounds) break;
    const { targetRounds = minOpenings * plan.rounds } = settings;
    if (openings.length >= nextCheck && referenceMs.length >= targetRounds) {
      // Looking rarely keeps the effect of looking repeatedly small.
      nextCheck = Math.ceil(openings.length * 1.25);
      if (isPrecise()) stopReason = 'target half-width reached';
    }
    if (openings.length >= minOpenings && elapsed() >= budgetSeconds) stopReason ??= 'time budget used';
  }
  if (stopReason) progress.update(budgetSeconds, { rounds: referenceMs.length });
  progress.end();
  if (openings.length === 0) signal?.throwIfAborted();

  return measurementOf({
    reference,
    subjects: lanes.map(({ name, firstMs, samplesMs }) => ({
      name,
      firstInferenceMs: median(firstMs),
      runsPerSample: plan?.runsPerSample.get(name) ?? 1,
      samplesMs,
    })),
    controlMs: control.samplesMs,
    openings,
    seconds: elapsed(),
    stopReason: stopReason ?? 'interrupted',
    seed,
  });
}

/** The statistics of raw samples. */
export function measurementOf({ reference, subjects, controlMs, ...run }: RawMeasurement): Measurement {
  const { openings, stopReason } = run;
  const referenceMs = subjects.find(({ name }) => name === reference)?.samplesMs;
  if (!referenceMs) throw internal(`no subject is named ${reference}`);
  const control = pairedSpeedup(referenceMs, controlMs, openings);
  return {
    ...run,
    reference,
    subjects: subjects.map((series) => ({
      ...series,
      latencyMs: latencyOf(series.samplesMs, openings),
      speedup: series.name === reference ? null : pairedSpeedup(referenceMs, series.samplesMs, openings),
    })),
    control: { samplesMs: controlMs, speedup: control, valid: coversOne(control) },
    rounds: referenceMs.length,
    partial: stopReason === 'interrupted',
  };
}

/** Undefined when interrupted: a terminal's Ctrl-C also reaches a process that is only just starting. */
async function openUnlessAborted({ open, signal }: Settings, order: readonly Lane[]): Promise<Opening | undefined> {
  if (signal?.aborted) return undefined;
  try {
    return await open(order.map(({ name }) => name));
  } catch (error) {
    if (signal?.aborted) return undefined;
    throw error;
  }
}

function leastWarmUp({ warmUpSeconds, warmUpRuns, progress }: Settings, plan: RoundPlan | undefined) {
  if (!plan) return { seconds: warmUpSeconds, runs: warmUpRuns, onDone: (count: number) => progress.update(count) };
  return { seconds: Math.min(LATER_SECONDS, warmUpSeconds), runs: Math.min(LATER_RUNS, warmUpRuns) };
}

/** @param openSeconds of an opening, without its warm-up */
function planOf(
  order: readonly Lane[],
  warm: readonly WarmUp[],
  { budgetSeconds, minOpenings, roundsPerOpening }: Settings,
  openSeconds: number,
): RoundPlan {
  const roundSeconds = warm.reduce((sum, { runMs, runsPerSample }) => sum + (runMs * (1 + runsPerSample)) / 1000, 0);
  const warmSeconds = warm.reduce((sum, { runMs }) => sum + Math.max(LATER_SECONDS, (LATER_RUNS * runMs) / 1000), 0);
  const fitting = Math.floor((budgetSeconds / minOpenings - openSeconds - warmSeconds) / roundSeconds);
  return {
    runsPerSample: new Map(order.map(({ name }, i) => [name, (warm[i] as WarmUp).runsPerSample])),
    rounds: Math.max(MIN_ROUNDS, Math.min(roundsPerOpening, fitting)),
  };
}
