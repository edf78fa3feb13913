/** The result of `kdx compare`: what is printed as JSON and drawn on the page. */
import type { JsonObject } from 'kdx/recipe';
import type { ComparedTask, StudentFacts } from './cell.ts';
import type { Difference } from './difference.ts';
import type { CalibrationBin } from './fidelity.ts';
import type { Interval, Spread } from './spread.ts';

/** Methods that the others are always compared with, where there are such rows. */
export const usualBaselines = ['finetune', 'kd'] as const;

/** How well the probabilities of a model fit the labels; classification only. */
export interface Calibration {
  /** Nats per example. */
  readonly negativeLogLikelihood: Spread;
  /** Over 15 bins of equal width. */
  readonly expectedCalibrationError: Spread;
  /** The bins of all seeds together. */
  readonly bins: readonly CalibrationBin[];
}

/** How near a student is to the teacher; what does not apply to the kind of task is `null`. */
export interface Fidelity {
  /** Share of dev examples with the teacher's answer. */
  readonly agreement: Spread | null;
  /** KL(teacher || student) at temperature 1, nats per example. */
  readonly divergence: Spread | null;
  /** Root of the mean squared difference of the values. */
  readonly rmsDifference: Spread | null;
}

/** Means over the seeds. */
export interface TrainingCost {
  readonly seconds: number;
  /** Work of the processors; `null` where it is not known of every cell. */
  readonly cpuSeconds: number | null;
  readonly steps: number;
  readonly examples: number;
}

/** Everything known of a method when at least one of its cells is finished. */
export interface MethodResult {
  readonly student: StudentFacts;
  readonly primary: Spread & { readonly ci95: Interval };
  /** Every metric of the task, in its order. */
  readonly metrics: Readonly<Record<string, Spread>>;
  /** Mean over the teacher's metric; `null` when that is not above 0. */
  readonly retention: number | null;
  /** By baseline; `null` for a baseline against itself and later ones, and where they have no seed in common. */
  readonly versus: Readonly<Record<string, Difference | null>>;
  readonly fidelity: Fidelity;
  readonly calibration: Calibration | null;
  readonly training: TrainingCost;
  /** Over the cost of finetune; `null` without that row. */
  readonly relativeCost: TrainingCost | null;
  /** Of its first finished seed. */
  readonly recipe: JsonObject;
}

export interface MethodRow {
  readonly method: string;
  /** Finished ones, in the order of the plan. */
  readonly seeds: readonly number[];
  readonly missingSeeds: readonly number[];
  /** `null` while no cell is finished. */
  readonly result: MethodResult | null;
}

export interface FractionReport {
  /** Share of the training data. */
  readonly fraction: number;
  /** `null` while no cell is finished. */
  readonly trainExamples: number | null;
  readonly rows: readonly MethodRow[];
}

export interface TeacherReport {
  readonly ref: string;
  /** `null` for an ONNX file of another model type. */
  readonly parameters: number | null;
  readonly flops: number | null;
  readonly metrics: Readonly<Record<string, number>>;
  readonly calibration: Calibration | null;
}

export interface CompareReport {
  readonly format: 1;
  readonly task: ComparedTask;
  readonly devExamples: number;
  readonly teacher: TeacherReport;
  /** Descending: the whole training set first. */
  readonly fractions: readonly FractionReport[];
  /** Methods that the others are compared with, in the order of `versus`. */
  readonly baselines: readonly string[];
  readonly bootstrap: { readonly seed: number; readonly resamples: number; readonly confidence: 0.95 };
  /** sqrt(p (1 - p) / n) of one dev accuracy p, here the students' mean; `null` for regression. */
  readonly binomial: { readonly accuracy: number; readonly standardError: number } | null;
  readonly finishedCells: number;
  readonly plannedCells: number;
  /** What a reader should know before believing a number, one sentence or two each. */
  readonly notes: readonly string[];
  readonly commands: readonly string[];
  readonly devices: readonly string[];
  /** Every version that occurs, by program. */
  readonly versions: Readonly<Record<string, readonly string[]>>;
}
