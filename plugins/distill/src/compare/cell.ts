/** What `kdx compare` collects: one cell for each method, seed and fraction of the training data. */
import type { MetricName } from 'kdx/data';
import type { JsonObject } from 'kdx/recipe';

export interface StudentFacts {
  /** Layers with parameters of their own. */
  readonly layers: number;
  /** Layers that run, a shared one as often as it is used. */
  readonly depth: number;
  readonly hidden: number;
  /** Unique tensors only: a shared layer counts once. */
  readonly parameters: number;
  /** Floating-point operations of one sequence of 128 tokens, a multiply-add counting 2. */
  readonly flops: number;
}

export interface Stage {
  readonly name: string;
  readonly steps: number;
  readonly seconds: number;
}

export interface Training {
  readonly seconds: number;
  /** Work of the processors in that time, all threads; absent unless all of it was on a CPU, and in older cells. */
  readonly cpuSeconds?: number;
  /** Optimizer steps of all stages. */
  readonly steps: number;
  /** Training examples seen, in all epochs and stages. */
  readonly examples: number;
  readonly stages: readonly Stage[];
}

/** One trained student and its answers on the dev set. */
export interface Cell {
  readonly format: 1;
  /** Label of its row: finetune, kd, ..., or the name of a recipe file. */
  readonly method: string;
  readonly task: string;
  readonly seed: number;
  /** Share of the training data, in (0, 1]. */
  readonly fraction: number;
  readonly trainExamples: number;
  readonly recipe: JsonObject;
  readonly student: StudentFacts;
  readonly primary: string;
  readonly metrics: Readonly<Record<string, number>>;
  /** [dev examples, outputs] in the order of the dev set. */
  readonly devLogits: readonly (readonly number[])[];
  readonly training: Training;
  readonly versions: Readonly<Record<string, string>>;
  readonly device: string;
  /** ISO 8601. */
  readonly started: string;
}

export interface ComparedTask {
  readonly name: string;
  readonly kind: 'classification' | 'regression';
  /** In the order of their ids; empty for regression. */
  readonly labels: readonly string[];
  readonly primary: MetricName;
  readonly metrics: readonly MetricName[];
}

export interface ComparedTeacher {
  readonly ref: string;
  /** Null for an ONNX file of another model type. */
  readonly parameters: number | null;
  readonly flops: number | null;
  readonly metrics: Readonly<Record<string, number>>;
  /** [dev examples, outputs]. */
  readonly devLogits: readonly (readonly number[])[];
}

/** What will be there when the comparison is finished, each in the order of the report. */
export interface Plan {
  readonly methods: readonly string[];
  readonly seeds: readonly number[];
  readonly fractions: readonly number[];
  /** Methods that the others are compared with, beside finetune and kd. */
  readonly against?: readonly string[];
}

export interface Comparison {
  readonly task: ComparedTask;
  readonly teacher: ComparedTeacher;
  /** Label ids or, for regression, values. */
  readonly devLabels: readonly number[];
  /** Those that are finished, in any order. */
  readonly cells: readonly Cell[];
  /** Command lines that made it. */
  readonly commands: readonly string[];
  /** Default: every method, seed and fraction that occurs among the cells. */
  readonly plan?: Plan;
}
