/** What is known of one method at one fraction of the training data. */
import type { Cell, ComparedTask, Comparison } from './cell.ts';
import { differenceOf, meanInterval, type SeedResult } from './difference.ts';
import {
  agreement,
  calibrationBins,
  divergence,
  expectedCalibrationError,
  negativeLogLikelihood,
  rmsDifference,
} from './fidelity.ts';
import type { Calibration, Fidelity, MethodResult, TrainingCost } from './report.ts';
import { mean, spreadOf, type Spread } from './spread.ts';

type Rows = readonly (readonly number[])[];

/** A cell with its primary metric on each resample of the dev set. */
export interface ResampledCell {
  readonly cell: Cell;
  readonly result: SeedResult;
}

/**
 * @param own cells of the method, at least one
 * @param of the cells of any method at the same fraction
 * @param baselines what it is compared with, as far as they are there and it is not one of those before
 */
export function methodResult(
  own: readonly ResampledCell[],
  of: (method: string) => readonly ResampledCell[],
  { task, teacher, devLabels }: Comparison,
  baselines: readonly string[],
  bootstrapSeed: number,
): MethodResult {
  const cells = own.map(({ cell }) => cell);
  const results = own.map(({ result }) => result);
  const { method, student, recipe } = cells[0]!;
  const primary = spread(cells, (cell) => cell.metrics[task.primary]!);
  const reference = teacher.metrics[task.primary]!;
  const versus = (baseline: string) => {
    if (baselines.slice(0, baselines.indexOf(baseline) + 1).includes(method)) return null;
    const others = of(baseline).map(({ result }) => result);
    return differenceOf(results, others, bootstrapSeed);
  };
  const training = trainingCost(cells);
  const finetune = of('finetune').map(({ cell }) => cell);
  const logits = cells.map(({ devLogits }) => devLogits);
  return {
    student,
    primary: { ...primary, ci95: meanInterval(results, bootstrapSeed) },
    metrics: Object.fromEntries(task.metrics.map((name) => [name, spread(cells, (cell) => cell.metrics[name]!)])),
    retention: reference > 0 ? primary.mean / reference : null,
    versus: Object.fromEntries(baselines.map((name) => [name, versus(name)])),
    fidelity: fidelityOf(task.kind, logits, teacher.devLogits),
    calibration: task.kind === 'classification' ? calibrationOf(logits, devLabels) : null,
    training,
    relativeCost: finetune.length === 0 ? null : ratio(training, trainingCost(finetune)),
    recipe,
  };
}

function fidelityOf(kind: ComparedTask['kind'], models: readonly Rows[], teacher: Rows): Fidelity {
  const isClassification = kind === 'classification';
  return {
    agreement: isClassification ? spread(models, (logits) => agreement(teacher, logits)) : null,
    divergence: isClassification ? spread(models, (logits) => divergence(teacher, logits)) : null,
    rmsDifference: isClassification ? null : spread(models, (logits) => rmsDifference(teacher, logits)),
  };
}

export function calibrationOf(models: readonly Rows[], labels: readonly number[]): Calibration {
  return {
    negativeLogLikelihood: spread(models, (logits) => negativeLogLikelihood(logits, labels)),
    expectedCalibrationError: spread(models, (logits) => expectedCalibrationError(calibrationBins([logits], labels))),
    bins: calibrationBins(models, labels),
  };
}

function trainingCost(cells: readonly Cell[]): TrainingCost {
  const of = (name: 'seconds' | 'steps' | 'examples') => mean(cells.map(({ training }) => training[name]));
  const cpuSeconds = mean(cells.map(({ training }) => training.cpuSeconds ?? NaN));
  return {
    seconds: of('seconds'),
    cpuSeconds: Number.isNaN(cpuSeconds) ? null : cpuSeconds,
    steps: of('steps'),
    examples: of('examples'),
  };
}

function ratio(a: TrainingCost, b: TrainingCost): TrainingCost {
  return {
    seconds: a.seconds / b.seconds,
    cpuSeconds: a.cpuSeconds === null || b.cpuSeconds === null ? null : a.cpuSeconds / b.cpuSeconds,
    steps: a.steps / b.steps,
    examples: a.examples / b.examples,
  };
}

/** Of at least one thing. */
function spread<T>(things: readonly T[], valueOf: (thing: T) => number): Spread {
  return spreadOf(things.map(valueOf))!;
}
