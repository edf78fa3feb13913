/** The training loop: batches in a seeded order, one graph run per step, evaluation, checkpoints, resume. */
import {
  bucketing,
  collate,
  encodedLengths,
  examplesOfRows,
  planBatches,
  type Batch,
  type BatchTensors,
  type EncodedExamples,
} from '../data/index.ts';
import type { Engine, Session } from '../engine/index.ts';
import { internal, KdxError } from '../errors/index.ts';
import { tensorOf, type Tensor } from '../graph/index.ts';
import { adamwScalars, scheduleFactor, type AdamWOptions, type Schedule } from '../optim/index.ts';
import type { Progress } from '../progress/index.ts';
import { hasOverflowed, notFinite } from './finite.ts';
import { withoutHalf } from './half-support.ts';
import { firstLossScale, nextLossScale, type LossScale } from './loss-scale.ts';
import { drawMasks } from './masks.ts';
import { loadState, saveState, TrainingState, type Position } from './state.ts';
import { buildStep, slots, type Bucket, type Objective, type Precision, type Step, type StepOptions } from './step.ts';
import { stopwatch } from './stopwatch.ts';

export interface TrainOptions {
  readonly epochs: number;
  readonly batch: number;
  readonly accumulate: number;
  readonly learningRate: number;
  readonly schedule: Schedule;
  readonly adamw: AdamWOptions;
  readonly clipNorm: number;
  readonly maxLength: number;
  readonly seed: number;
  /** When the development set is measured; `none`: never, and the last parameters are kept. */
  readonly evaluate: 'epoch' | 'end' | 'none';
  /** Seconds between two saves of the state. */
  readonly saveEvery: number;
  /** As in `StepOptions`; default: false. */
  readonly recompute?: boolean;
  /** As in `StepOptions`, with dynamic loss scaling; default: float32. */
  readonly precision?: Precision;
}

export interface TrainJob {
  readonly engine: Engine;
  readonly objective: Objective;
  /** Initial parameters in graph layout. */
  readonly initial: ReadonlyMap<string, Tensor>;
  readonly examples: EncodedExamples;
  readonly options: TrainOptions;
  /** Further inputs of a step. */
  readonly extraFeeds?: (batch: FedBatch) => Readonly<Record<string, Tensor>>;
  /** Tensors that steps read and never change (a teacher's parameters), by graph input. */
  readonly frozen?: ReadonlyMap<string, Tensor>;
  /** Metrics of the current parameters on the development set; `primary` names the one that decides which are best. */
  readonly evaluate: (state: TrainingState) => Promise<Readonly<Record<string, number>>>;
  readonly primary: string;
  /** Default: higher. */
  readonly better?: 'higher' | 'lower';
  /** For people, default `training`. */
  readonly label?: string;
  /** Keeps the current parameters as the best so far. */
  readonly saveBest: (parameters: ReadonlyMap<string, Tensor>) => Promise<void>;
  /** File of the resumable state. */
  readonly statePath: string;
  /** Opens the metrics log cut back to a step. */
  readonly metrics: (
    step: number,
  ) => Promise<{ append(entry: { readonly step: number } & Record<string, number>): Promise<void> }>;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** A batch as further inputs are made for it. */
export interface FedBatch {
  /** Example of each row; the rows after the first `examples` are filler. */
  readonly rows: readonly number[];
  readonly examples: number;
  readonly bucket: Bucket;
  readonly tensors: BatchTensors;
  /** Step, and batch within it: names of random streams. */
  readonly position: readonly [number, number];
}

export interface TrainResult {
  readonly steps: number;
  /** Those of them that were left out because their gradients overflowed float16; absent with float32. */
  readonly skipped?: number;
  /** Time spent training, over all starts; what was lost by a kill is not in it. */
  readonly seconds: number;
  /** Work of the processors in that time, all threads of the process; undefined unless all of it was on a CPU. */
  readonly cpuSeconds?: number | undefined;
  /** What was kept; without metrics where nothing was measured. */
  readonly best: { readonly step: number; readonly metrics: Readonly<Record<string, number>> };
}

const SESSIONS_KEPT = 12;

/** What all steps of a run have in common. */
export function stepOptions({ adamw, clipNorm, recompute, precision }: TrainOptions): Omit<StepOptions, 'mode'> {
  return {
    adamw,
    clipNorm: clipNorm || Infinity,
    ...(recompute !== undefined && { recompute }),
    ...(precision && { precision }),
  };
}

/** Optimizer steps of a run. */
export function stepCount(
  { batch, accumulate, epochs }: Pick<TrainOptions, 'batch' | 'accumulate' | 'epochs'>,
  examples: number,
): { readonly perEpoch: number; readonly total: number } {
  const perEpoch = Math.ceil(Math.ceil(examples / batch) / accumulate);
  return { perEpoch, total: perEpoch * epochs };
}

/** Trains to the end, from where the state file says. The caller removes that file once the result is kept. */
export async function train(job: TrainJob): Promise<TrainResult> {
  const saved = await loadState(job.statePath);
  const state = await TrainingState.create(
    job.engine,
    job.objective.parameters,
    saved?.values ?? job.initial,
    job.options.accumulate > 1,
    job.frozen,
    job.objective.frozen,
  );
  const steps = new StepSessions(job);
  try {
    return await runLoop(job, state, steps, saved?.position ?? { step: 0, seconds: 0, cpuSeconds: 0, best: undefined });
  } catch (error) {
    throw withoutHalf(error, job.options.precision);
  } finally {
    await steps.release();
    await state.free();
  }
}

async function runLoop(
  job: TrainJob,
  state: TrainingState,
  sessions: StepSessions,
  start: Position,
): Promise<TrainResult> {
  const { options, progress, signal } = job;
  const { perEpoch, total } = stepCount(options, job.examples.count);
  const log = await job.metrics(start.step);
  let position: Position = options.precision === 'float16' ? { lossScale: firstLossScale, ...start } : start;
  const began = Date.now();
  const time = stopwatch(start, job.engine.device.kind === 'cpu');
  let savedAt = began;
  const save = async () => {
    await saveState(job.statePath, state, { ...position, ...time() });
    savedAt = Date.now();
  };

  progress.start(job.label ?? 'training', total, start.step);
  let seen = 0;
  let prepared = start.step < total ? await sessions.prepare(start.step, perEpoch) : undefined;
  while (prepared) {
    const current = prepared;
    const running = runStep(current, state, scalarFeeds(options, current.step, total, position.lossScale));
    // The next batch is made while this one runs; a failure of the run is reported first.
    running.catch(() => undefined);
    const next = current.step + 1 < total ? await sessions.prepare(current.step + 1, perEpoch) : undefined;
    const values = await running;
    const step = current.step + 1;
    const overflowed = hasOverflowed(values, step, position);
    seen += current.examples;
    const learningRate = rate(options, current.step, total);
    await log.append({ step, epoch: step / perEpoch, learning_rate: learningRate, ...logged(values, position) });
    position = { ...position, step, ...scaledOn(position, overflowed) };
    const { skipped = 0 } = position.lossScale ?? {};
    if (overflowed) progress.message(`step ${step} left out: gradients overflowed float16 (${skipped} so far)`);
    const speed = seen / ((Date.now() - began) / 1000);
    progress.update(step, { loss: values['loss'] as number, 'examples/s': speed, ...(skipped > 0 && { skipped }) });

    if (step === total || (step % perEpoch === 0 && options.evaluate === 'epoch')) {
      position =
        options.evaluate === 'none'
          ? await keepLast(job, state, position)
          : await evaluateAndKeep(job, state, position, log, step / perEpoch);
      await save();
    } else if (signal.aborted || Date.now() - savedAt >= options.saveEvery * 1000) await save();
    signal.throwIfAborted();
    prepared = next;
  }
  progress.end();
  const { best, lossScale } = position;
  if (!best) throw internal('the run ended without anything kept');
  return {
    steps: position.step,
    ...(lossScale && { skipped: lossScale.skipped }),
    ...time(),
    best: { step: best.step, metrics: best.metrics },
  };
}

function scaledOn({ lossScale }: Position, overflowed: boolean): Pick<Position, 'lossScale'> {
  return lossScale ? { lossScale: nextLossScale(lossScale, overflowed) } : {};
}

/** JSON has no infinite gradient norm. */
function logged(values: Readonly<Record<string, number>>, { lossScale }: Position): Record<string, number> {
  const finite = Object.fromEntries(Object.entries(values).filter(([, value]) => Number.isFinite(value)));
  return { ...finite, ...(lossScale && { loss_scale: lossScale.scale }) };
}

async function keepLast(job: TrainJob, state: TrainingState, position: Position): Promise<Position> {
  await job.saveBest(await state.read(job.objective.parameters.map(({ name }) => name)));
  return { ...position, best: { value: 0, step: position.step, metrics: {} } };
}

async function evaluateAndKeep(
  job: TrainJob,
  state: TrainingState,
  position: Position,
  log: Awaited<ReturnType<TrainJob['metrics']>>,
  epoch: number,
): Promise<Position> {
  const { step, best } = position;
  const metrics = await job.evaluate(state).catch((error: unknown) => {
    // The last update may have spoilt the parameters, after a good loss.
    if (!(error instanceof KdxError) || error.code !== 'invalid-logits') throw error;
    throw notFinite('the outputs for the development set became NaN or infinite', step, position, error);
  });
  const value = metrics[job.primary] as number;
  const shown = Object.entries(metrics).map(([name, metric]) => `${name} ${metric.toFixed(4)}`);
  const isBest = !best || (job.better === 'lower' ? value < best.value : value > best.value);
  job.progress.message(`epoch ${epoch}: ${shown.join(', ')}${isBest ? ' (best so far)' : ''}`);
  await log.append({ step, epoch, ...Object.fromEntries(Object.entries(metrics).map(([k, v]) => [`dev_${k}`, v])) });
  if (!isBest) return position;
  await job.saveBest(await state.read(job.objective.parameters.map(({ name }) => name)));
  return { ...position, best: { value, step, metrics } };
}

function rate(options: TrainOptions, step: number, total: number): number {
  return options.learningRate * scheduleFactor(options.schedule, step, total);
}

/** For every batch of a step, and for the last one, which updates. */
interface ScalarFeeds {
  readonly each: Readonly<Record<string, Tensor>>;
  readonly last: Readonly<Record<string, Tensor>>;
}

function scalarFeeds(options: TrainOptions, step: number, total: number, lossScale?: LossScale): ScalarFeeds {
  const updates = step - (lossScale?.skipped ?? 0);
  const scalars = adamwScalars(options.adamw, updates + 1, rate(options, step, total));
  const scalar = (value: number) => tensorOf('float32', [], [value]);
  return {
    each: lossScale ? { loss_scale: scalar(lossScale.scale) } : {},
    last: { step_size: scalar(scalars.stepSize), epsilon: scalar(scalars.epsilon), shrink: scalar(scalars.shrink) },
  };
}

/** A step's graph, loaded. */
interface StepSession {
  readonly session: Session;
  readonly built: Step;
}

/** One run of a session: a batch with its masks. */
interface PreparedBatch extends StepSession {
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly last: boolean;
}

interface PreparedStep {
  readonly step: number;
  readonly batches: readonly PreparedBatch[];
  readonly examples: number;
}

/** Runs the batches of one optimizer step; the loss and other metrics are means over them. */
async function runStep(
  prepared: PreparedStep,
  state: TrainingState,
  scalars: ScalarFeeds,
): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const { session, built, feeds, last } of prepared.batches) {
    const metrics = ['loss', ...built.metrics];
    const results = await session.run({
      feeds: { ...feeds, ...scalars.each, ...(last && scalars.last), ...state.among(session.inputs) },
      fetch: last ? [...metrics, 'gradient_norm'] : metrics,
      assign: Object.fromEntries(built.writes.map((name) => [slots.next(name), state.variable(name)])),
    });
    for (const name of metrics)
      sums[name] = (sums[name] ?? 0) + scalarOf(results[name] as Tensor) / prepared.batches.length;
    if (last) sums['gradient_norm'] = scalarOf(results['gradient_norm'] as Tensor);
  }
  return sums;
}

function scalarOf(value: Tensor): number {
  return (value.data as Float32Array)[0] as number;
}

/** Sessions by bucket, made when first needed; and the feeds of each step. */
class StepSessions {
  readonly #job: TrainJob;
  /** Most recently used last. */
  readonly #sessions = new Map<string, StepSession>();
  readonly #lengths: Int32Array;
  #epoch = -1;
  #plan: readonly Batch[] = [];

  constructor(job: TrainJob) {
    this.#job = job;
    this.#lengths = encodedLengths(job.examples);
  }

  async prepare(step: number, perEpoch: number): Promise<PreparedStep> {
    const { options } = this.#job;
    const epoch = Math.floor(step / perEpoch);
    if (epoch !== this.#epoch) {
      this.#plan = planBatches({
        lengths: this.#lengths,
        batchSize: options.batch,
        bucket: bucketing(options.maxLength),
        shuffle: { seed: options.seed, epoch },
      });
      this.#epoch = epoch;
    }
    const first = (step % perEpoch) * options.accumulate;
    const group = this.#plan.slice(first, first + options.accumulate);
    const batches: PreparedBatch[] = [];
    for (const [index, batch] of group.entries()) {
      const last = index === group.length - 1;
      const mode = group.length === 1 ? 'update' : last ? 'update-accumulated' : 'accumulate';
      const { session, built } = await this.#session(
        { rows: options.batch, length: batch.length },
        { ...stepOptions(options), mode, batches: group.length },
      );
      batches.push({ session, built, last, feeds: this.#feeds(batch, built, [step, index]) });
    }
    return { step, batches, examples: group.reduce((sum, batch) => sum + batch.indices.length, 0) };
  }

  #feeds(batch: Batch, built: Step, position: readonly [number, number]): Record<string, Tensor> {
    const { examples, options, objective, extraFeeds } = this.#job;
    const rows = options.batch;
    const tensors = collate(examples, batch, { rows, regression: objective.regression });
    const all: Record<string, Tensor> = {
      ...tensors,
      ...extraFeeds?.({
        rows: examplesOfRows(batch, rows),
        examples: batch.indices.length,
        bucket: { rows, length: batch.length },
        tensors,
        position,
      }),
      ...drawMasks(built.dropout, options.seed, position),
    };
    const wanted = new Set(built.model.graph.inputs.map(({ name }) => name));
    return Object.fromEntries(Object.entries(all).filter(([name]) => wanted.has(name)));
  }

  async #session(bucket: Bucket, options: StepOptions): Promise<StepSession> {
    const key = `${options.mode} ${options.batches} ${bucket.length}`;
    const found = this.#sessions.get(key) ?? (await this.#create(bucket, options));
    this.#sessions.delete(key);
    this.#sessions.set(key, found);
    return found;
  }

  async #create(bucket: Bucket, options: StepOptions): Promise<StepSession> {
    // This step and the next one may need a session for each of their batches.
    const limit = Math.max(SESSIONS_KEPT, 2 * this.#job.options.accumulate);
    const [oldest] = this.#sessions;
    if (oldest && this.#sessions.size >= limit) {
      this.#sessions.delete(oldest[0]);
      await oldest[1].session.release();
    }
    const built = buildStep(this.#job.objective, bucket, options);
    const session = await this.#job.engine.createSession(built.model, {
      name: `train step, length ${bucket.length}`,
      inPlace: true,
    });
    return { session, built };
  }

  async release(): Promise<void> {
    for (const { session } of this.#sessions.values()) await session.release();
  }
}
