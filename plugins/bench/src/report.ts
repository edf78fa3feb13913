/** The result of `kdx bench`: what is printed as JSON and kept in bench.json. */
import type { TunedOptions } from 'kdx/classifier';
import { internal } from 'kdx/errors';
import { medianInterval, type Interval, type StopReason } from 'kdx/timing';
import type { BaselineReport } from './baseline-report.ts';
import type { ImportedRun } from './runner/imported-run.ts';
import type { ColdStart, ColdStartMemory, ColdStartPhases } from './cold-start.ts';
import { coldStartTotal } from './cold-start.ts';
import type { Environment } from './environment.ts';
import {
  gridCell,
  type CellParts,
  type ControlReport,
  type GridCell,
  type GridModel,
  type Samples,
  type Scenario,
  type SpeedupReport,
} from './grid.ts';

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
  /** Of the model file and its external data. */
  readonly bytes: number;
  /** The same bytes after gzip, about what a download takes; `null` when not computed. */
  readonly compressedBytes: number | null;
  /** Stored weights by part of the model, in its order; not in reports of older versions. */
  readonly groups?: readonly GroupSize[];
  /** What `kdx export --tune` found for its file on this machine, but for threads. */
  readonly sessionOptions?: TunedOptions;
  /** Why what it found for another machine was not used. */
  readonly tuningUnused?: string;
  /** Random ids for a model without a tokenizer of its own; it has no metric. */
  readonly inputs: 'text' | 'random token ids';
  /** `null` without evaluation data. */
  readonly metric: Metric | null;
  /** Class (or value) for each example of the development set, separated by spaces; `null` without. */
  readonly answers: string | null;
}

export interface GroupSize {
  /** embeddings, encoder, head, other */
  readonly name: string;
  readonly bytes: number;
}

export interface Metric {
  /** accuracy, f1, matthews, pearson, ... */
  readonly name: string;
  readonly value: number;
  /** 95 % interval over examples like these. */
  readonly ci95: Interval | null;
}

/** A student's answers beside its teacher's; each `null` without evaluation data. */
export interface StudentFacts extends ModelFacts {
  /** Of the retention, from resamples of examples that both answered. */
  readonly retentionCi95: Interval | null;
  /** Fraction of examples with the teacher's answer; `null` for regression. */
  readonly agreement: number | null;
  readonly agreementCi95: Interval | null;
  /** Mean of KL(teacher || student) over the examples, in nats; `null` for regression. */
  readonly klDivergence: number | null;
  readonly klCi95: Interval | null;
}

export interface ModelReport extends ModelFacts, Pick<GridModel, 'latencyMs' | 'throughput' | 'flops'> {
  /** Fresh process to first answer, median; `null` when not measured. */
  readonly coldStartMs: number | null;
  /** 95 % interval of that median; `null` with fewer than 6 processes. */
  readonly coldStartCi95: Interval | null;
  /** Fastest and slowest process. */
  readonly coldStartRange: Interval | null;
  readonly coldStartPhasesMs: ColdStartPhases | null;
  /** Highest resident memory of a process that runs only this model, Node included, median; `null` when not measured. */
  readonly peakRssBytes: number | null;
  readonly peakRssCi95: Interval | null;
  readonly peakRssRange: Interval | null;
  readonly memoryBytes: ColdStartMemory | null;
}

export interface StudentReport extends ModelReport, Omit<StudentFacts, keyof ModelFacts> {
  /** Teacher bytes over student bytes. */
  readonly compressionRatio: number;
  /** Teacher parameters over student parameters. */
  readonly parameterRatio: number;
  /** Teacher time over student time, paired by round. */
  readonly speedup: SpeedupReport;
  /** Student metric over teacher metric; `null` without both, and when the teacher's is not above 0. */
  readonly retention: number | null;
}

/** The examples that models were scored on. */
export interface DataReport {
  readonly task: string;
  readonly examples: number;
  /** Of texts and labels: equal for the same examples. */
  readonly sha256: string;
}

/** Times without a cell of their own are those of the first one. */
export interface BenchReport {
  /** The words that repeat the run; only of a run from the command line. */
  readonly command?: readonly string[];
  readonly scenario: Scenario;
  readonly teacher: ModelReport;
  readonly students: readonly StudentReport[];
  readonly control: ControlReport;
  readonly stopReason: StopReason;
  /** Interrupted; what is there is valid. */
  readonly partial: boolean;
  readonly rounds: number;
  /** Rounds of each process in which all models were opened anew. */
  readonly openings: readonly number[];
  readonly seconds: number;
  readonly seed: number;
  readonly data: DataReport | null;
  readonly environment: Environment;
  readonly samples: readonly Samples[];
  /** One cell per combination that was measured, the first included. */
  readonly grid: readonly GridCell[];
  /** `null` without --baseline. */
  readonly baseline: BaselineReport | null;
  /** The same models on other devices; only with --import. */
  readonly imported?: readonly ImportedRun[];
}

export interface ReportParts {
  readonly teacher: ModelFacts;
  readonly students: readonly StudentFacts[];
  /** At least one. */
  readonly cells: readonly CellParts[];
  /** By model name; a model may be missing. */
  readonly coldStarts: ReadonlyMap<string, ColdStart>;
  readonly data: DataReport | null;
  readonly environment: Environment;
  /** The run was stopped, at whatever stage. */
  readonly interrupted: boolean;
}

/** Puts facts and measurements together; the baseline is compared afterwards. */
export function benchReport(parts: ReportParts): BenchReport {
  const { teacher, students, cells, data, environment } = parts;
  const grid = cells.map(gridCell);
  const [first] = grid;
  const [measured] = cells;
  if (!first || !measured) throw internal('a report needs a measurement');
  const { scenario, control, stopReason, rounds, openings, seconds, samples } = first;
  return {
    scenario,
    teacher: modelReport(teacher, first, parts),
    students: students.map((student) => studentReport(student, first, parts)),
    control,
    stopReason,
    partial: cells.some(({ measurement }) => measurement.partial) || parts.interrupted,
    rounds,
    openings,
    seconds,
    seed: measured.measurement.seed,
    data,
    environment,
    samples,
    grid,
    baseline: null,
  };
}

function timesOf({ models }: GridCell, name: string): GridModel {
  const found = models.find((model) => model.name === name);
  if (!found) throw internal(`${name} was not measured`);
  return found;
}

function modelReport<F extends ModelFacts>(facts: F, cell: GridCell, { coldStarts, cells }: ReportParts) {
  const { latencyMs, throughput, flops } = timesOf(cell, facts.name);
  const coldStart = coldStarts.get(facts.name);
  const seed = cells[0]?.measurement.seed ?? 0;
  const starts = coldStart && spread(coldStart.samples.map(coldStartTotal), seed);
  const peaks =
    coldStart &&
    spread(
      coldStart.samples.map(({ memoryBytes }) => memoryBytes.peak),
      seed,
    );
  return {
    ...facts,
    flops,
    latencyMs,
    throughput,
    coldStartMs: coldStart?.totalMs ?? null,
    coldStartCi95: starts?.ci95 ?? null,
    coldStartRange: starts?.range ?? null,
    coldStartPhasesMs: coldStart?.phasesMs ?? null,
    peakRssBytes: coldStart?.memoryBytes.peak ?? null,
    peakRssCi95: peaks?.ci95 ?? null,
    peakRssRange: peaks?.range ?? null,
    memoryBytes: coldStart?.memoryBytes ?? null,
  };
}

function studentReport(student: StudentFacts, cell: GridCell, parts: ReportParts): StudentReport {
  const { speedup } = timesOf(cell, student.name);
  if (!speedup) throw internal(`${student.name} was measured as the reference`);
  return {
    ...modelReport(student, cell, parts),
    compressionRatio: parts.teacher.bytes / student.bytes,
    parameterRatio: parts.teacher.parameters / student.parameters,
    speedup,
    retention: retentionOf(parts.teacher.metric, student.metric),
  };
}

function retentionOf(teacher: Metric | null, student: Metric | null): number | null {
  return teacher && student && teacher.value > 0 ? student.value / teacher.value : null;
}

/** Interval of the median, and the whole range. */
function spread(values: readonly number[], seed: number): { ci95: Interval | null; range: Interval } {
  return { ci95: medianInterval(values, { seed }), range: [Math.min(...values), Math.max(...values)] };
}
