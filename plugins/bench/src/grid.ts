/** One combination of batch, length and threads: what was measured in it, of every model and between every two. */
import { internal } from 'kdx/errors';
import {
  pairedSpeedup,
  verdict,
  type Interval,
  type Latency,
  type Measurement,
  type Speedup,
  type StopReason,
  type SubjectResult,
  type Verdict,
} from 'kdx/timing';

/** Tokens per sequence, or each example with its own length, a batch padded to its longest. */
export type Length = number | 'natural';

/** Of the sequences that are run, without padding, as the teacher's tokenizer counts them. */
export interface LengthSummary {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly max: number;
}

export interface Scenario {
  /** As MLPerf has them: one query after the other, or a batch for throughput. */
  readonly kind: 'single-stream' | 'offline';
  readonly device: string;
  readonly threads: number;
  readonly batch: number;
  /** For a number no token is padding. */
  readonly length: Length;
  /** `null` for a fixed length. */
  readonly lengths: LengthSummary | null;
  /** Where the sentences come from. */
  readonly text: 'development set' | 'built-in sentences';
  /** Whether a sample includes turning text into tokens. */
  readonly tokenize: 'in' | 'out';
}

/** Not of a processor, and not WebAssembly. */
export function isGpu(device: Scenario['device']): boolean {
  return device === 'cuda' || device === 'webgpu';
}

export interface SpeedupReport extends Speedup {
  readonly verdict: Verdict | 'invalid run';
}

/** A model's time in one cell. */
export interface GridModel {
  readonly name: string;
  readonly role: 'teacher' | 'student';
  /** Of one run of a whole batch, with the very first run apart. */
  readonly latencyMs: Latency & { readonly first: number };
  /** Sequences per second at the median latency, one run after the other. */
  readonly throughput: number;
  readonly runsPerSample: number;
  /** Floating-point operations of one sequence, its padding included; `null` when shapes are not known. */
  readonly flops: number | null;
  /** Teacher time over student time, paired by round. Students only. */
  readonly speedup?: SpeedupReport;
}

/** Time of `a` over time of `b`, paired by round: above 1 `b` is faster. */
export interface Pair {
  readonly a: string;
  readonly b: string;
  readonly ratio: number;
  readonly ci95: Interval | null;
}

/** One latency sample per round, milliseconds per run, in time order. */
export interface Samples {
  readonly role: 'teacher' | 'student' | 'control';
  readonly name: string;
  readonly runsPerSample: number;
  readonly ms: readonly number[];
}

/** The teacher against itself. When not valid, no comparison of this cell can be believed. */
export interface ControlReport extends Speedup {
  readonly valid: boolean;
}

export interface GridCell {
  readonly scenario: Scenario;
  /** Teacher first, then students in their order. */
  readonly models: readonly GridModel[];
  /** Every two models, the earlier one as `a`. */
  readonly pairs: readonly Pair[];
  readonly control: ControlReport;
  readonly stopReason: StopReason;
  readonly rounds: number;
  /** Rounds of each process in which all models were opened anew. */
  readonly openings: readonly number[];
  readonly seconds: number;
  /** Teacher, students, and the teacher's second series with the role `control`. */
  readonly samples: readonly Samples[];
}

export interface CellParts {
  readonly scenario: Scenario;
  /** With the teacher as its reference. */
  readonly measurement: Measurement;
  /** By model name. */
  readonly flops: ReadonlyMap<string, number | null>;
}

/** Puts one measurement into the form of the report. */
export function gridCell({ scenario, measurement, flops }: CellParts): GridCell {
  const { control, stopReason, rounds, openings, seconds, reference } = measurement;
  const teacher = measurement.subjects.find(({ name }) => name === reference);
  if (!teacher) throw internal(`${reference} was not measured`);
  const students = measurement.subjects.filter((subject) => subject !== teacher);
  const subjects = [teacher, ...students];
  const verdictOf = (speedup: Speedup) => (control.valid ? verdict(speedup) : 'invalid run');
  return {
    scenario,
    models: subjects.map((subject) => ({
      name: subject.name,
      role: subject === teacher ? 'teacher' : 'student',
      latencyMs: { ...subject.latencyMs, first: subject.firstInferenceMs },
      throughput: (1000 * scenario.batch) / subject.latencyMs.p50,
      runsPerSample: subject.runsPerSample,
      flops: flops.get(subject.name) ?? null,
      ...(subject.speedup && { speedup: { ...subject.speedup, verdict: verdictOf(subject.speedup) } }),
    })),
    pairs: pairsOf(subjects, openings),
    control: { ...control.speedup, valid: control.valid },
    stopReason,
    rounds,
    openings,
    seconds,
    samples: [
      ...subjects.map((subject) => samplesOf(subject, subject === teacher ? 'teacher' : 'student')),
      { ...samplesOf(teacher, 'control'), ms: control.samplesMs },
    ],
  };
}

function samplesOf({ name, runsPerSample, samplesMs }: SubjectResult, role: Samples['role']): Samples {
  return { role, name, runsPerSample, ms: samplesMs };
}

/** The teacher's pairs are the speed-ups that are there already. */
function pairsOf([teacher, ...students]: readonly SubjectResult[], openings: readonly number[]): Pair[] {
  const pair = (a: SubjectResult, b: SubjectResult): Pair => ({
    a: a.name,
    b: b.name,
    ...(a === teacher && b.speedup ? b.speedup : pairedSpeedup(a.samplesMs, b.samplesMs, openings)),
  });
  return [teacher as SubjectResult, ...students].flatMap((a, i) => students.slice(i).map((b) => pair(a, b)));
}
