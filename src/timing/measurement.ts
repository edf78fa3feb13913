/** Measures several subjects against a reference: in rounds of random order, paired by round, with an A/A control. */
import { setImmediate as turn } from 'node:timers/promises';
import { randomStream } from '../data/index.ts';
import { internal } from '../errors/index.ts';
import { silentProgress, type Progress } from '../progress/index.ts';
import { MIN_VALUES } from './bootstrap.ts';
import { latencyOf, type Latency } from './latency.ts';
import { coversOne, halfWidth, pairedSpeedup, type Speedup } from './speedup.ts';
import { timeOf, warmUp, type WarmUp } from './warm-up.ts';

/** Something whose time is taken. */
export interface Subject {
  readonly name: string;
  /**
   * May give the milliseconds it took where it knows them better than the clock around this call.
   * @param round the same for all subjects of a round, so that work that varies can be the same for all
   */
  run(round?: number): Promise<number | void>;
}

export interface MeasurementOptions {
  readonly subjects: readonly Subject[];
  /** Name of the subject that the others are compared with. */
  readonly reference: string;
  readonly seed: number;
  /** Time for the rounds, warm-up not counted; default 30. */
  readonly budgetSeconds?: number;
  /** Rounds that are made whatever the budget, at least 6; default 20. */
  readonly minRounds?: number;
  /** Stop when every speed-up's 95 % interval is within this fraction of its centre; default 0.02. */
  readonly targetHalfWidth?: number;
  /** Rounds before that is looked at; default `minRounds`. A 90th percentile wants 200. */
  readonly targetRounds?: number;
  /** Each subject runs for at least so long and so often before it is measured; default 1 second and 10 runs. */
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
  /** The very first run, milliseconds; not among the samples. */
  readonly firstInferenceMs: number;
  /** Runs timed together for one sample (more than 1 for runs below a millisecond). */
  readonly runsPerSample: number;
  /** Milliseconds per run, one sample per round. */
  readonly samplesMs: readonly number[];
  readonly latencyMs: Latency;
  /** Against the reference; `null` for the reference itself. */
  readonly speedup: Speedup | null;
}

/** The reference measured a second time under another name: its speed-up must cover 1. */
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
export interface RawMeasurement extends Pick<Measurement, 'reference' | 'seconds' | 'stopReason' | 'seed'> {
  /** The reference among them; all, and the control, with the same number of samples. */
  readonly subjects: readonly RawSeries[];
  /** The reference's second series. */
  readonly controlMs: readonly number[];
}

interface Lane extends WarmUp {
  readonly subject: Subject;
  readonly samplesMs: number[];
}

/**
 * Measures until every speed-up is known to the target half-width or the time budget is used. All subjects get the
 * same number of samples. Run times must not depend on each other: one subject runs at a time.
 * @throws the signal's reason when it comes before the first round is complete; what `run` throws, as it is
 */
export async function measure(options: MeasurementOptions): Promise<Measurement> {
  const { subjects, seed, signal, progress = silentProgress, now = () => performance.now() } = options;
  const { budgetSeconds = 30, minRounds = 20, targetHalfWidth = 0.02, warmUpSeconds = 1, warmUpRuns = 10 } = options;
  const { targetRounds = minRounds } = options;
  if (new Set(subjects.map(({ name }) => name)).size !== subjects.length) throw internal('two subjects share a name');
  if (minRounds < MIN_VALUES) throw internal(`minRounds ${minRounds} is below ${MIN_VALUES}`);

  const lanes: Lane[] = [];
  progress.start('warm up', subjects.length);
  for (const subject of subjects) {
    const warm = await warmUp(subject, { seconds: warmUpSeconds, runs: warmUpRuns, signal, now });
    if (!warm) break;
    lanes.push({ subject, ...warm, samplesMs: [] });
    progress.update(lanes.length);
  }
  progress.end();
  signal?.throwIfAborted();
  const reference = lanes.find(({ subject }) => subject.name === options.reference);
  if (!reference) throw internal(`no subject is named ${options.reference}`);
  const control: Lane = { ...reference, samplesMs: [] };

  const random = randomStream(seed, 'bench-order');
  const order = [...lanes, control];
  const speedupOf = (lane: Lane): Speedup => pairedSpeedup(reference.samplesMs, lane.samplesMs, { seed });
  const compared = order.filter((lane) => lane !== reference);
  progress.start('measure (seconds at most)', budgetSeconds);
  const begin = now();
  const elapsed = (): number => (now() - begin) / 1000;
  let rounds = 0;
  let nextCheck = Math.max(minRounds, targetRounds);
  let stopReason: StopReason | undefined;
  while (!stopReason) {
    random.shuffle(order);
    const times = await timeRound(order, rounds, now, signal);
    if (!times) {
      stopReason = 'interrupted';
      break;
    }
    order.forEach((lane, i) => lane.samplesMs.push(times[i] as number));
    rounds++;
    progress.update(Math.min(Math.floor(elapsed()), budgetSeconds), { rounds });
    if (rounds >= nextCheck) {
      // Looking rarely keeps the cost of the bootstrap and the effect of looking repeatedly small.
      nextCheck = Math.ceil(rounds * 1.25);
      if (compared.every((lane) => halfWidth(speedupOf(lane)) <= targetHalfWidth))
        stopReason = 'target half-width reached';
    }
    if (rounds >= minRounds && elapsed() >= budgetSeconds) stopReason ??= 'time budget used';
  }
  if (stopReason !== 'interrupted') progress.update(budgetSeconds, { rounds });
  progress.end();
  if (rounds === 0) signal?.throwIfAborted();

  return measurementOf({
    reference: options.reference,
    subjects: lanes.map(({ subject: { name }, ...series }) => ({ name, ...series })),
    controlMs: control.samplesMs,
    seconds: elapsed(),
    stopReason,
    seed,
  });
}

/** The statistics of raw samples. */
export function measurementOf({ reference, subjects, controlMs, ...run }: RawMeasurement): Measurement {
  const { seed, stopReason } = run;
  const referenceMs = subjects.find(({ name }) => name === reference)?.samplesMs;
  if (!referenceMs) throw internal(`no subject is named ${reference}`);
  const control = pairedSpeedup(referenceMs, controlMs, { seed });
  return {
    ...run,
    reference,
    subjects: subjects.map((series) => ({
      ...series,
      latencyMs: latencyOf(series.samplesMs, seed),
      speedup: series.name === reference ? null : pairedSpeedup(referenceMs, series.samplesMs, { seed }),
    })),
    control: { samplesMs: controlMs, speedup: control, valid: coversOne(control) },
    rounds: referenceMs.length,
    partial: stopReason === 'interrupted',
  };
}

/** One sample of each lane in the order given, milliseconds per run; undefined when interrupted. */
async function timeRound(
  order: readonly Lane[],
  round: number,
  now: () => number,
  signal: AbortSignal | undefined,
): Promise<number[] | undefined> {
  // Lets signals and timers in, also when no run ever leaves the microtask queue.
  await turn();
  const times: number[] = [];
  for (const { subject, runsPerSample } of order) {
    if (signal?.aborted) return undefined;
    let total = 0;
    for (let run = 0; run < runsPerSample; run++) total += await timeOf(subject, round, now);
    times.push(total / runsPerSample);
  }
  return times;
}
