/** Finds the fastest settings of a session. What it times is anything that opens and runs, so tests use a fake clock. */
import { silentProgress, type Progress } from 'kdx/progress';
import {
  measure,
  MIN_OPENINGS,
  verdict,
  type Control,
  type Interval,
  type Opening,
  type Run,
  type Verdict,
} from 'kdx/timing';
import { factors, type SessionSettings } from './session-settings.ts';

/** A session whose time is taken. */
export interface OpenedSession {
  /** May give its own milliseconds. */
  run: Run;
  release(): Promise<void>;
}

export interface TunerOptions {
  open(settings: SessionSettings): Promise<OpenedSession>;
  /** Of the default. */
  readonly threads: number;
  /** Tried besides. */
  readonly threadCounts: readonly number[];
  /** For all measurements together; slow models take longer, for each is opened 3 times and makes 5 rounds each time. */
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly progress?: Progress;
  /** Stage of the progress. */
  readonly label?: string;
  readonly now?: () => number;
}

/** Settings that were measured. */
export interface Candidate extends SessionSettings {
  /** What is different from the best so far; `confirmation` compares the best of all with the default. */
  readonly factor: string;
  /** Time of the best so far over its time. */
  readonly ratio: number;
  readonly ci95: Interval | null;
  /** A confirmation is invalid in which the default differs from itself. */
  readonly verdict: Verdict | 'invalid run';
}

export type Finding =
  | 'faster than the default'
  | 'nothing was faster than the default'
  | 'what seemed faster was not confirmed'
  | 'the machine was too unsteady to tell';

export interface TunerResult extends SessionSettings {
  readonly finding: Finding;
  /** Time of the default over that of these settings, in the confirmation; 1 for the default. */
  readonly ratio: number;
  readonly ci95: Interval | null;
  readonly candidates: readonly Candidate[];
}

const SEED = 0;
/** The confirmation gets as much time as so many factors. */
const CONFIRMATION_SHARES = 2;

/**
 * One factor after the other: its alternatives against the best so far, in rounds of random order. The best of all then
 * meets the default once more, in new rounds: being the best of many draws is no evidence. The default stays unless
 * that says "faster".
 * @throws the signal's reason; what `open` and `run` throw
 */
export async function tuneSession(options: TunerOptions): Promise<TunerResult> {
  const { threads, threadCounts, seconds, signal, progress = silentProgress, label = 'tune' } = options;
  const start: SessionSettings = { options: {}, threads };
  const tried = factors(threadCounts).filter(({ alternatives }) => alternatives(start).length > 0);
  const share = seconds / (tried.length + CONFIRMATION_SHARES);
  const candidates: Candidate[] = [];
  let best = start;
  progress.start(label, tried.length + 1);
  for (const [done, { name, alternatives }] of tried.entries()) {
    const { candidates: found } = await compare(name, best, alternatives(best), share, options);
    candidates.push(...found);
    best = fastest(found) ?? best;
    progress.update(done + 1);
  }
  const confirmed = best === start ? undefined : await confirm(start, best, CONFIRMATION_SHARES * share, options);
  progress.update(tried.length + 1);
  progress.end();
  signal.throwIfAborted();
  if (confirmed) candidates.push(confirmed);
  if (confirmed?.verdict !== 'faster')
    return { ...start, finding: findingOf(confirmed), ratio: 1, ci95: null, candidates };
  const { ratio, ci95 } = confirmed;
  return { ...best, finding: 'faster than the default', ratio, ci95, candidates };
}

async function confirm(
  start: SessionSettings,
  best: SessionSettings,
  budgetSeconds: number,
  options: TunerOptions,
): Promise<Candidate> {
  const { candidates, control } = await compare('confirmation', start, [best], budgetSeconds, options);
  const [candidate] = candidates as [Candidate];
  return control.valid ? candidate : { ...candidate, verdict: 'invalid run' };
}

function findingOf(confirmed: Candidate | undefined): Finding {
  if (!confirmed) return 'nothing was faster than the default';
  return confirmed.verdict === 'invalid run'
    ? 'the machine was too unsteady to tell'
    : 'what seemed faster was not confirmed';
}

function fastest(candidates: readonly Candidate[]): SessionSettings | undefined {
  const [first] = candidates.filter((candidate) => candidate.verdict === 'faster').sort((a, b) => b.ratio - a.ratio);
  return first && { options: first.options, threads: first.threads };
}

/** Alternatives against a reference, several times all open at once and taking turns. */
async function compare(
  factor: string,
  reference: SessionSettings,
  alternatives: readonly SessionSettings[],
  budgetSeconds: number,
  options: TunerOptions,
): Promise<{ candidates: Candidate[]; control: Control }> {
  const { signal, now } = options;
  const settings = [reference, ...alternatives];
  const { subjects, control } = await measure({
    names: settings.map((_, i) => String(i)),
    reference: '0',
    open: (names) =>
      openAll(
        names.map((name) => settings[Number(name)]!),
        options,
      ),
    seed: SEED,
    budgetSeconds,
    minOpenings: MIN_OPENINGS,
    roundsPerOpening: 10,
    targetRounds: 100,
    targetHalfWidth: 0.005,
    warmUpSeconds: budgetSeconds / 20,
    warmUpRuns: 3,
    signal,
    ...(now && { now }),
  });
  signal.throwIfAborted();
  const candidates = alternatives.map((settings, i): Candidate => {
    const speedup = subjects[i + 1]!.speedup!;
    return { factor, ...settings, ...speedup, verdict: verdict(speedup) };
  });
  return { candidates, control };
}

async function openAll(settings: readonly SessionSettings[], { open, signal }: TunerOptions): Promise<Opening> {
  const opened: OpenedSession[] = [];
  const close = async () => {
    for (const session of opened) await session.release();
  };
  try {
    for (const each of settings) {
      signal.throwIfAborted();
      opened.push(await open(each));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { runs: opened.map(({ run }) => run), close };
}
