/** The result of `kdx bench`: what is printed as JSON and kept in bench.json. */
import { internal } from 'kdx/errors';
import type { ColdStart, ColdStartMemory, ColdStartPhases } from './cold-start.ts';
import type { Environment } from './environment.ts';
import type { Latency } from './latency.ts';
import type { Control, Measurement, StopReason, SubjectResult } from './measurement.ts';
import { verdict, type Speedup, type Verdict } from './speedup.ts';

/** What is known of a model besides its time. */
export interface ModelFacts {
  /** Also the name of its subject in the measurement. */
  readonly name: string;
  /** As the user called it. */
  readonly ref: string;
  /** SHA-256 of the ONNX file that was run; for a checkpoint, of the one that was made from it. */
  readonly sha256: string;
  /** Unique tensors only: a shared layer counts once. */
  readonly parameters: number;
  /** Floating-point operations of one sequence, a multiply-add counting 2; `null` when shapes are not known. */
  readonly flops: number | null;
  /** Of the model file and its external data. */
  readonly bytes: number;
  /** `null` without evaluation data. */
  readonly metric: Metric | null;
}

export interface Metric {
  /** accuracy, f1, matthews, pearson, ... */
  readonly name: string;
  readonly value: number;
}

export interface StudentFacts extends ModelFacts {
  /** Fraction of examples with the teacher's answer; `null` without evaluation data. */
  readonly agreement: number | null;
}

export interface Scenario {
  readonly device: string;
  readonly threads: number;
  readonly batch: number;
  /** Tokens per sequence; none of them is padding. */
  readonly length: number;
  /** Where the sentences come from that were joined to that length. */
  readonly text: 'development set' | 'built-in sentences';
}

export interface ModelReport extends ModelFacts {
  /** Of one run of a whole batch, with the very first run apart. */
  readonly latencyMs: Latency & { readonly first: number };
  /** Sequences per second at the median latency, one run after the other. */
  readonly throughput: number;
  /** Fresh process to first answer, median; `null` when not measured. */
  readonly coldStartMs: number | null;
  readonly coldStartPhasesMs: ColdStartPhases | null;
  /** Highest resident memory of a process that runs only this model, Node included, median; `null` when not measured. */
  readonly peakRssBytes: number | null;
  readonly memoryBytes: ColdStartMemory | null;
}

export interface StudentReport extends ModelReport {
  /** Teacher bytes over student bytes. */
  readonly compressionRatio: number;
  /** Teacher parameters over student parameters. */
  readonly parameterRatio: number;
  /** Teacher time over student time, paired by round. */
  readonly speedup: Speedup & { readonly verdict: Verdict | 'invalid run' };
  /** Student metric over teacher metric; `null` without both, and when the teacher's is not above 0. */
  readonly retention: number | null;
  readonly agreement: number | null;
}

/** One latency sample per round, milliseconds per run, in time order. */
export interface Samples {
  readonly name: string;
  readonly runsPerSample: number;
  readonly ms: readonly number[];
}

export interface BenchReport {
  readonly scenario: Scenario;
  readonly teacher: ModelReport;
  readonly students: readonly StudentReport[];
  /** The teacher against itself. When not valid, no comparison of this run can be believed. */
  readonly control: Speedup & { readonly valid: boolean };
  readonly stopReason: StopReason;
  /** Interrupted; what is there is valid. */
  readonly partial: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly environment: Environment;
  /** Teacher, students, and the teacher's second series under the name `control`. */
  readonly samples: readonly (Samples & { readonly role: 'teacher' | 'student' | 'control' })[];
}

export interface ReportParts {
  readonly scenario: Scenario;
  readonly teacher: ModelFacts;
  readonly students: readonly StudentFacts[];
  /** With the teacher as its reference. */
  readonly measurement: Measurement;
  /** By model name; a model may be missing. */
  readonly coldStarts: ReadonlyMap<string, ColdStart>;
  readonly environment: Environment;
  /** The run was stopped, at whatever stage. */
  readonly interrupted: boolean;
}

/** Puts facts and measurements together. */
export function benchReport(parts: ReportParts): BenchReport {
  const { scenario, teacher, students, measurement, environment } = parts;
  const { control, stopReason, rounds, seconds, seed } = measurement;
  const reference = subjectOf(measurement, teacher.name);
  return {
    scenario,
    teacher: modelReport(teacher, reference, parts),
    students: students.map((student) => studentReport(student, parts)),
    control: { ...control.speedup, valid: control.valid },
    stopReason,
    partial: measurement.partial || parts.interrupted,
    rounds,
    seconds,
    seed,
    environment,
    samples: [
      ...measurement.subjects.map((subject) => ({
        role: subject === reference ? ('teacher' as const) : ('student' as const),
        name: subject.name,
        runsPerSample: subject.runsPerSample,
        ms: subject.samplesMs,
      })),
      { role: 'control', name: teacher.name, runsPerSample: reference.runsPerSample, ms: control.samplesMs },
    ],
  };
}

function subjectOf(measurement: Measurement, name: string): SubjectResult {
  const subject = measurement.subjects.find((candidate) => candidate.name === name);
  if (!subject) throw internal(`${name} was not measured`);
  return subject;
}

function modelReport(facts: ModelFacts, subject: SubjectResult, { scenario, coldStarts }: ReportParts): ModelReport {
  const coldStart = coldStarts.get(facts.name);
  return {
    ...facts,
    latencyMs: { ...subject.latencyMs, first: subject.firstInferenceMs },
    throughput: (1000 * scenario.batch) / subject.latencyMs.p50,
    coldStartMs: coldStart?.totalMs ?? null,
    coldStartPhasesMs: coldStart?.phasesMs ?? null,
    peakRssBytes: coldStart?.memoryBytes.peak ?? null,
    memoryBytes: coldStart?.memoryBytes ?? null,
  };
}

function studentReport(student: StudentFacts, parts: ReportParts): StudentReport {
  const { teacher, measurement } = parts;
  const subject = subjectOf(measurement, student.name);
  if (!subject.speedup) throw internal(`${student.name} was measured as the reference`);
  return {
    ...modelReport(student, subject, parts),
    compressionRatio: teacher.bytes / student.bytes,
    parameterRatio: teacher.parameters / student.parameters,
    speedup: { ...subject.speedup, verdict: verdictOf(subject.speedup, measurement.control) },
    retention: retentionOf(teacher.metric, student.metric),
    agreement: student.agreement,
  };
}

function retentionOf(teacher: Metric | null, student: Metric | null): number | null {
  return teacher && student && teacher.value > 0 ? student.value / teacher.value : null;
}

function verdictOf(speedup: Speedup, control: Control): Verdict | 'invalid run' {
  return control.valid ? verdict(speedup) : 'invalid run';
}
