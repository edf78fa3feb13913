/** From finished cells to the report of a comparison. */
import { metrics as metricFunctions, resampledMetrics, type MetricName } from 'kdx/data';
import { internal, KdxError } from 'kdx/errors';
import type { Cell, Comparison, Plan } from './cell.ts';
import { answers } from './fidelity.ts';
import { calibrationOf, methodResult, type ResampledCell } from './method-result.ts';
import { notesOf } from './notes.ts';
import { usualBaselines, type CompareReport, type FractionReport, type MethodRow } from './report.ts';
import { mean } from './spread.ts';

type Rows = readonly (readonly number[])[];

export interface SummarizeOptions {
  /** Of the bootstrap; default 0. */
  readonly seed?: number;
  /** Default 2000. */
  readonly resamples?: number;
}

/**
 * Deterministic for the same cells, in whatever order they are.
 * @throws KdxError `cell-mismatch` when a cell's metric is not that of its logits on these labels
 */
export function summarize(comparison: Comparison, options: SummarizeOptions = {}): CompareReport {
  const { task, teacher, devLabels, commands } = comparison;
  const bootstrap = { seed: options.seed ?? 0, resamples: options.resamples ?? 2000, confidence: 0.95 as const };
  const plan = comparison.plan ?? planOf(comparison.cells);
  const cells = plannedCells(comparison.cells, plan);
  checkRows(teacher.devLogits, devLabels, `teacher ${teacher.ref}`);
  const resampled = resample(cells, comparison, bootstrap);
  const baselines = unique([...usualBaselines, ...(plan.against ?? [])]);
  const fractions = [...plan.fractions]
    .sort((a, b) => b - a)
    .map((fraction) => fractionReport(fraction, { plan, baselines, resampled, comparison, seed: bootstrap.seed }));
  const report: CompareReport = {
    format: 1,
    task,
    devExamples: devLabels.length,
    teacher: {
      ref: teacher.ref,
      parameters: teacher.parameters,
      flops: teacher.flops,
      metrics: teacher.metrics,
      calibration: task.kind === 'classification' ? calibrationOf([teacher.devLogits], devLabels) : null,
    },
    fractions,
    baselines,
    bootstrap,
    binomial: binomialOf(cells, comparison),
    finishedCells: cells.length,
    plannedCells: plan.methods.length * plan.seeds.length * plan.fractions.length,
    notes: [],
    commands,
    devices: unique(cells.map(({ device }) => device)),
    versions: versionsOf(cells),
  };
  return { ...report, notes: notesOf(report) };
}

function planOf(cells: readonly Cell[]): Plan {
  return {
    methods: unique(cells.map(({ method }) => method)),
    seeds: unique(cells.map(({ seed }) => seed)).sort((a, b) => a - b),
    fractions: unique(cells.map(({ fraction }) => fraction)),
  };
}

/** In the order of the plan. */
function plannedCells(cells: readonly Cell[], plan: Plan): Cell[] {
  const places = plan.fractions.flatMap((fraction) =>
    plan.methods.flatMap((method) => plan.seeds.map((seed) => ({ fraction, method, seed }))),
  );
  const found = places.flatMap((place) => {
    const here = cells.filter(
      ({ fraction, method, seed }) => fraction === place.fraction && method === place.method && seed === place.seed,
    );
    if (here.length > 1) throw internal(`two cells of ${place.method}, seed ${place.seed}, fraction ${place.fraction}`);
    return here;
  });
  if (found.length !== cells.length) throw internal('a cell that is not in the plan of its comparison');
  return found;
}

function resample(cells: readonly Cell[], comparison: Comparison, options: { seed: number; resamples: number }) {
  const { task, devLabels } = comparison;
  const predictions = cells.map((cell) => predictionsOf(cell, comparison));
  const resampled = resampledMetrics(task.primary, predictions, devLabels, options);
  return cells.map((cell, i): ResampledCell => {
    const value = metricFunctions[task.primary](predictions[i]!, devLabels);
    checkMetric(cell, task.primary, value);
    return { cell, result: { seed: cell.seed, value, resampled: resampled[i]! } };
  });
}

/** Label ids or, for regression, values. */
function predictionsOf(cell: Cell, { task, devLabels }: Comparison): number[] {
  checkRows(cell.devLogits, devLabels, nameOf(cell));
  return task.kind === 'regression' ? cell.devLogits.map((row) => row[0] as number) : answers(cell.devLogits);
}

function checkRows(logits: Rows, labels: readonly number[], name: string): void {
  if (logits.length !== labels.length)
    throw internal(`${logits.length} rows of logits of the ${name} for ${labels.length} dev examples`);
}

function checkMetric(cell: Cell, metric: MetricName, value: number): void {
  const reported = cell.metrics[metric];
  if (reported !== undefined && Math.abs(reported - value) < 1e-6) return;
  throw new KdxError(
    'cell-mismatch',
    `the ${nameOf(cell)} reports ${metric} ${reported}, its logits give ${value} on this dev set`,
    { suggestions: ['it was made with other data: give the same data again, or another --out for a new comparison'] },
  );
}

function nameOf({ method, seed, fraction }: Cell): string {
  return `cell ${method}, seed ${seed}, fraction ${fraction}`;
}

interface Resampled {
  readonly plan: Plan;
  readonly baselines: readonly string[];
  readonly resampled: readonly ResampledCell[];
  readonly comparison: Comparison;
  /** Of the bootstrap. */
  readonly seed: number;
}

function fractionReport(fraction: number, { plan, baselines, resampled, comparison, seed }: Resampled): FractionReport {
  const here = resampled.filter(({ cell }) => cell.fraction === fraction);
  const of = (method: string) => here.filter(({ cell }) => cell.method === method);
  const rows = plan.methods.map((method): MethodRow => {
    const own = of(method);
    const seeds = own.map(({ cell }) => cell.seed);
    return {
      method,
      seeds,
      missingSeeds: plan.seeds.filter((seed) => !seeds.includes(seed)),
      result: own.length === 0 ? null : methodResult(own, of, comparison, baselines, seed),
    };
  });
  return { fraction, trainExamples: here[0]?.cell.trainExamples ?? null, rows };
}

/** At the largest fraction that has a finished cell. */
function binomialOf(cells: readonly Cell[], { task, devLabels }: Comparison): CompareReport['binomial'] {
  if (task.kind === 'regression' || cells.length === 0) return null;
  const largest = Math.max(...cells.map(({ fraction }) => fraction));
  const measured = cells.filter(({ fraction }) => fraction === largest);
  const accuracy = mean(measured.map(({ devLogits }) => metricFunctions.accuracy(answers(devLogits), devLabels)));
  return { accuracy, standardError: Math.sqrt((accuracy * (1 - accuracy)) / devLabels.length) };
}

function versionsOf(cells: readonly Cell[]): Record<string, readonly string[]> {
  const names = unique(cells.flatMap(({ versions }) => Object.keys(versions)));
  return Object.fromEntries(
    names.map((name) => [name, unique(cells.flatMap(({ versions }) => versions[name] ?? []))] as const),
  );
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
