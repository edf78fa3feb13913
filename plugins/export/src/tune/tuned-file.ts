/** Tuning an exported file: its sessions on an engine, its gate, and what kdx.json keeps of it. */
import { loadavg } from 'node:os';
import { openClassifier, thisMachine, type Classifier, type ClassifierSource, type Machine } from 'kdx/classifier';
import type { BertConfig } from 'kdx/checkpoint';
import { processor, type Engine } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import type { Progress } from 'kdx/progress';
import { measurementInputs, sentences } from 'kdx/timing';
import { fewerThreads, type SessionSettings } from './session-settings.ts';
import { tuneSession, type Finding, type OpenedSession, type TunerResult } from './tuner.ts';

export interface TuneOptions {
  /** Of measuring, for each file; default 20. */
  readonly seconds?: number;
  /** Sequences per run; default 1. */
  readonly batch?: number;
  /** Tokens per sequence; default 128, or what the model takes if that is less. */
  readonly length?: number;
  /** As the user asked: no other number is tried. */
  readonly threads?: number;
  /** Clock in milliseconds; default `performance.now`. */
  readonly now?: () => number;
}

/** In kdx.json: `Tuning` of kdx/classifier, and how it was found. */
export interface TuningRecord extends Machine, Omit<TunerResult, 'finding'> {
  readonly finding: Finding | 'the faster options change the answers';
  readonly batch: number;
  readonly length: number;
  /** One-minute load average before, to judge the rest by; 0 where the system has none. */
  readonly loadAverage: number;
}

export interface TuneSurroundings {
  readonly engine: Engine;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** In the exported folder. */
  readonly path: string;
  /** @throws KdxError `parity-failed` when the answers are too different */
  gate(classifier: Classifier): Promise<unknown>;
}

/** Per processor. */
const QUIET_LOAD = 0.5;
const defaults = { seconds: 20, batch: 1, length: 128 };

/** @throws KdxError `length-over-positions` */
export function checkTuneLength({ maxPositions }: BertConfig, { length = 0 }: TuneOptions): void {
  if (length > maxPositions)
    throw new KdxError(
      'length-over-positions',
      `the model takes at most ${maxPositions} tokens, --tune-length is ${length}`,
      { suggestions: [`--tune-length ${maxPositions}`] },
    );
}

/**
 * Times a model with other session options, on inputs without padding, as `kdx predict` runs it. Options that change
 * its answers by more than the gate allows are not kept.
 * @throws KdxError of opening and running the file; the signal's reason
 */
export async function tuneFile(
  source: ClassifierSource,
  given: TuneOptions,
  { engine, progress, signal, path, gate }: TuneSurroundings,
): Promise<TuningRecord> {
  const { seconds = defaults.seconds, batch = defaults.batch } = given;
  const length = given.length ?? Math.min(defaults.length, source.config.maxPositions);
  const inputs = measurementInputs(source.tokenizer, { texts: sentences, batch, length, seed: 0 });
  const { threads } = engine.device;
  const loadAverage = Number((loadavg()[0] as number).toFixed(2));
  if (loadAverage > QUIET_LOAD * processor().logical)
    progress.message(
      `note: the machine is busy (load ${loadAverage}), and what is fastest now may not be when it is quiet`,
    );
  const tuned = await tuneSession({
    open: (settings) => openSession(source, engine, settings, inputs),
    threads,
    threadCounts: given.threads === undefined ? fewerThreads(threads) : [],
    seconds,
    signal,
    progress,
    label: `tune ${path}`,
    ...(given.now && { now: given.now }),
  });
  const record = { ...thisMachine(), batch, length, loadAverage, ...tuned };
  if (tuned.finding !== 'faster than the default' || (await passes(gate, source, engine, tuned))) return record;
  const finding = 'the faster options change the answers';
  return { ...record, options: {}, threads, ratio: 1, ci95: null, finding };
}

async function openSession(
  source: ClassifierSource,
  engine: Engine,
  { options, threads }: SessionSettings,
  inputs: ReturnType<typeof measurementInputs>,
): Promise<OpenedSession> {
  const classifier = await openClassifier(source, engine, { ...options, threads });
  return {
    run: async (turn) => void (await classifier.run(inputs[turn % inputs.length]!)),
    release: () => classifier.release(),
  };
}

async function passes(
  gate: TuneSurroundings['gate'],
  source: ClassifierSource,
  engine: Engine,
  { options, threads }: SessionSettings,
): Promise<boolean> {
  const classifier = await openClassifier(source, engine, { ...options, threads });
  try {
    await gate(classifier);
    return true;
  } catch (error) {
    if (error instanceof KdxError && error.code === 'parity-failed') return false;
    throw error;
  } finally {
    await classifier.release();
  }
}
