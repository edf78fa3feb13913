/** Compares a run with an earlier one: time, size and metric of every model that both have. */
import type { TaskData } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import { median } from 'kdx/timing';
import type { Baseline, BaselineCell, BaselineModel, CellKey } from './baseline-file.ts';
import type { BaselineComparison, BaselineReport, GateVerdict } from './baseline-report.ts';
import { metricRatios } from './example-intervals.ts';
import { changeOf, decide, isWithin, medianChange, type Change, type Tested, type Worse } from './gate.ts';
import type { GridCell } from './grid.ts';
import type { BenchReport, ModelReport } from './report.ts';

export interface GateOptions {
  /** 0.05 for 5 %. */
  readonly failOn: number;
  /** The development set of this run. */
  readonly data: TaskData | undefined;
}

/** A comparison before the decision, which looks at all of them. */
interface Draft extends Pick<BaselineComparison, 'name' | 'measure' | 'cell' | 'method' | 'before' | 'after'> {
  readonly worse: Worse;
  /** A change with its interval, an exact one, or why there is none. */
  readonly found: Change | number | { readonly reason: string };
}

/**
 * Said before anything is measured.
 * @throws KdxError `baseline-mismatch` when no student or no combination is in both
 */
export function checkBaseline(
  { file, models, cells }: Baseline,
  students: readonly string[],
  wanted: readonly CellKey[],
): void {
  const known = models.filter(({ role }) => role === 'student').map(({ name }) => name);
  const fail = (message: string) => {
    throw new KdxError('baseline-mismatch', `${file} ${message}`, {
      suggestions: ['give the models and options of the run that wrote it'],
    });
  };
  if (!students.some((name) => known.includes(name)))
    fail(`measured the students ${known.join(', ')}, this run measures ${students.join(', ')}`);
  if (!wanted.some((cell) => cells.some((other) => isSameCell(cell, other))))
    fail(`measured ${cells.map(cellText).join('; ')}, this run measures ${wanted.map(cellText).join('; ')}`);
}

/** Times are compared relative to the teacher when both runs had the same teacher on the same processor. */
export function compareWithBaseline(
  report: Omit<BenchReport, 'baseline'>,
  baseline: Baseline,
  { failOn, data }: GateOptions,
): BaselineReport {
  const now = [report.teacher, ...report.students];
  const [teacherBefore] = baseline.models as [BaselineModel];
  const isSameTeacher = teacherBefore.sha256 === report.teacher.sha256;
  const isSameProcessor = baseline.processor === report.environment.cpu.model;
  const relative = isSameTeacher && isSameProcessor;
  const both = now.flatMap((after) => {
    const before = baseline.models.find(({ name }) => name === after.name);
    const isKnown = before?.role === 'teacher' && isSameTeacher;
    return before && !isKnown ? [{ before, after }] : [];
  });
  const drafts = [
    ...report.grid.flatMap((cell, i) => {
      const before = baseline.cells.find((other) => isSameCell(cell.scenario, other));
      const names = both.map(({ after }) => after.name);
      const isComparable = cell.scenario.length !== 'natural' || baseline.data === (report.data?.sha256 ?? null);
      if (!before || !isComparable) return [];
      const teachers = relative ? [teacherBefore.name, report.teacher.name] : undefined;
      return latencyDrafts({ names, before, after: cell, cell: i, teachers, failOn });
    }),
    ...both.map(({ before, after }) => sizeDraft(before, after)),
    ...both.flatMap(({ before, after }) => {
      const isSameData = baseline.data !== null && baseline.data === report.data?.sha256;
      return metricDraft(before, after, isSameData ? data : undefined, { failOn, seed: report.seed });
    }),
  ];
  const comparisons = decided(drafts, failOn);
  return {
    file: baseline.file,
    failOn,
    comparisons,
    warnings: warningsOf(report, baseline, { isSameTeacher, isSameProcessor }),
    verdict: overall(comparisons.map(({ verdict }) => verdict)),
  };
}

interface LatencyOptions {
  readonly names: readonly string[];
  readonly before: BaselineCell;
  readonly after: GridCell;
  readonly cell: number;
  /** Names of the teacher then and now, when times are told relative to it. */
  readonly teachers: readonly string[] | undefined;
  readonly failOn: number;
}

function latencyDrafts({ names, before, after, cell, teachers, failOn }: LatencyOptions): Draft[] {
  const then = (name: string) => before.samplesMs.get(name);
  const now = (name: string) => after.samples.find((sample) => sample.name === name && sample.role !== 'control')?.ms;
  const logs = (ms: readonly number[], teacher: readonly number[] | undefined) =>
    ms.map((time, round) => Math.log(time / (teacher?.[round] ?? 1)));
  return names.flatMap((name) => {
    const [earlier, later] = [then(name), now(name)];
    if (!earlier || !later) return [];
    const [a, b] = [
      logs(earlier, teachers && then(teachers[0] as string)),
      logs(later, teachers && now(teachers[1] as string)),
    ];
    const invalid = [!before.valid && 'earlier', !after.control.valid && 'new'].filter(Boolean).join(' and the ');
    const change = () =>
      medianChange({ logs: a, openings: before.openings }, { logs: b, openings: after.openings }, failOn);
    const found: Draft['found'] =
      invalid === ''
        ? (change() ?? { reason: 'the models were opened too few times' })
        : { reason: `the control of the ${invalid} run excludes 1` };
    return {
      name,
      measure: 'latency',
      cell,
      method: teachers ? 'time relative to the teacher' : 'time',
      before: Math.exp(median(a)),
      after: Math.exp(median(b)),
      worse: 'larger',
      found,
    };
  });
}

function sizeDraft(before: BaselineModel, after: ModelReport): Draft {
  return {
    name: after.name,
    measure: 'bytes',
    cell: null,
    method: 'size',
    before: before.bytes,
    after: after.bytes,
    worse: 'larger',
    found: after.bytes / before.bytes,
  };
}

function metricDraft(
  before: BaselineModel,
  after: ModelReport,
  data: TaskData | undefined,
  { failOn, seed }: { readonly failOn: number; readonly seed: number },
): Draft[] {
  if (!before.metric || !after.metric || before.metric.name !== after.metric.name) return [];
  const found = (): Draft['found'] => {
    if (!data || !before.answers || after.answers === null) return { reason: 'it was measured on other examples' };
    const labels = data.dev.map(({ label }) => label);
    const answers = after.answers.split(' ').map(Number);
    if (before.answers.length !== labels.length) return { reason: 'its answers are not complete' };
    const ratios = metricRatios(data.task.primary, answers, before.answers, labels, seed);
    const [then, now] = [before.metric?.value ?? 0, after.metric?.value ?? 0];
    return ratios ? changeOf(now / then, ratios, 'smaller', failOn) : { reason: 'the earlier one may be 0' };
  };
  return [
    {
      name: after.name,
      measure: 'metric',
      cell: null,
      method: 'same examples',
      before: before.metric.value,
      after: after.metric.value,
      worse: 'smaller',
      found: found(),
    },
  ];
}

function decided(drafts: readonly Draft[], failOn: number): BaselineComparison[] {
  const tested = drafts.flatMap(({ found, worse }) =>
    typeof found === 'object' && 'p' in found ? [{ change: found, worse } satisfies Tested] : [],
  );
  const verdicts = decide(tested, failOn);
  const verdictOf = (found: Change) => verdicts[tested.findIndex(({ change }) => change === found)] as GateVerdict;
  return drafts.map(({ found, worse, ...draft }) => {
    if (typeof found === 'number') {
      const verdict = isWithin(found, worse, failOn) ? 'no regression' : 'regression';
      return { ...draft, change: found, ci95: null, p: null, verdict, reason: null };
    }
    if ('p' in found) return { ...draft, ...found, verdict: verdictOf(found), reason: null };
    const change = draft.before === 0 ? null : draft.after / draft.before;
    return { ...draft, change, ci95: null, p: null, verdict: 'cannot tell', reason: found.reason };
  });
}

function overall(verdicts: readonly GateVerdict[]): GateVerdict {
  if (verdicts.includes('regression')) return 'regression';
  return verdicts.length === 0 || verdicts.includes('cannot tell') ? 'cannot tell' : 'no regression';
}

function warningsOf(
  report: Omit<BenchReport, 'baseline'>,
  baseline: Baseline,
  { isSameTeacher, isSameProcessor }: { readonly isSameTeacher: boolean; readonly isSameProcessor: boolean },
): string[] {
  const warnings: string[] = [];
  const now = [report.teacher, ...report.students].map(({ name }) => name);
  const then = baseline.models.map(({ name }) => name);
  if (!isSameTeacher) warnings.push('the teachers differ, so times of different runs are compared as they are');
  if (!isSameProcessor)
    warnings.push(`the processors differ (${baseline.processor}), so times are compared as they are`);
  const { onnxruntime } = report.environment;
  if (baseline.onnxruntime !== onnxruntime)
    warnings.push(`ONNX Runtime was ${baseline.onnxruntime} then and is ${onnxruntime} now`);
  for (const name of then.slice(1)) if (!now.includes(name)) warnings.push(`${name} is only in the earlier run`);
  for (const name of now.slice(1)) if (!then.includes(name)) warnings.push(`${name} is only in the new run`);
  for (const cell of baseline.cells)
    if (!report.grid.some(({ scenario }) => isSameCell(scenario, cell)))
      warnings.push(`${cellText(cell)} is only in the earlier run`);
  for (const { scenario } of report.grid) {
    if (!baseline.cells.some((cell) => isSameCell(scenario, cell)))
      warnings.push(`${cellText(scenario)} is only in the new run`);
    else if (scenario.length === 'natural' && baseline.data !== (report.data?.sha256 ?? null))
      warnings.push(`${cellText(scenario)}: the examples differ, so times are not compared`);
  }
  return warnings;
}

function isSameCell(a: CellKey, b: CellKey): boolean {
  return (['device', 'threads', 'batch', 'length', 'tokenize'] as const).every((key) => a[key] === b[key]);
}

function cellText({ device, threads, batch, length, tokenize }: CellKey): string {
  const tokenizing = tokenize === 'in' ? ', tokenizing included' : '';
  return `${device}, threads ${threads}, batch ${batch}, length ${length}${tokenizing}`;
}
