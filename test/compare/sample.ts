/** Comparisons with known properties: simulated students on a simulated dev set. */
import type { Cell, ComparedTask, Comparison } from '../../plugins/distill/src/compare/index.ts';
import { metrics, randomStream, taskNamed, type Random } from '../../src/data/index.ts';

export const examples = 240;

export interface SampleMethod {
  readonly method: string;
  /** Mean of the logit of the right answer over that of the wrong one; for regression, minus the noise. */
  readonly skill: number;
  readonly seconds?: number;
}

export interface SampleOptions {
  readonly task?: string;
  readonly methods?: readonly SampleMethod[];
  readonly seeds?: readonly number[];
  readonly fractions?: readonly number[];
  readonly count?: number;
}

const defaultMethods: readonly SampleMethod[] = [
  { method: 'finetune', skill: 0.9, seconds: 41 },
  { method: 'kd', skill: 1.5, seconds: 47 },
  { method: 'mixkd', skill: 1.55, seconds: 118 },
];

/** Standard normal (Box-Muller). */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.nextFloat())) * Math.cos(2 * Math.PI * random.nextFloat());
}

export function sampleTask(name: string): ComparedTask {
  const { kind, labels, primary, metrics: names } = taskNamed(name);
  return { name, kind, labels, primary, metrics: names };
}

/** The metrics of logits, by the product's own functions. */
export function scored(task: ComparedTask, logits: readonly (readonly number[])[], labels: readonly number[]) {
  const predictions = logits.map((row) => (task.kind === 'regression' ? row[0]! : row.indexOf(Math.max(...row))));
  return Object.fromEntries(task.metrics.map((name) => [name, metrics[name](predictions, labels)]));
}

/** Students of a method differ by seed; all of them find the same examples hard. */
export function sampleComparison(options: SampleOptions = {}): Comparison {
  const { methods = defaultMethods, seeds = [1, 2, 3], fractions = [1], count = examples } = options;
  const task = sampleTask(options.task ?? 'sst2');
  const draw = randomStream(7, 'dev set');
  const devLabels = Array.from({ length: count }, () =>
    task.kind === 'regression' ? Math.round(draw.nextFloat() * 25) / 5 : draw.int(task.labels.length),
  );
  const hardness = devLabels.map(() => normal(draw));
  const teacherLogits = logitsOf(task, devLabels, hardness, 2.2, randomStream(8, 'teacher'));
  const cells = fractions.flatMap((fraction) =>
    methods.flatMap(({ method, skill, seconds = 60 }, m) =>
      seeds.map((seed): Cell => {
        const random = randomStream(seed, 'student', m, Math.round(1000 * fraction));
        const ability = skill + 0.3 * Math.log10(fraction) + 0.05 * normal(random);
        const devLogits = logitsOf(task, devLabels, hardness, ability, random);
        return sampleCell({
          method,
          task: task.name,
          seed,
          fraction,
          trainExamples: Math.round(67349 * fraction),
          primary: task.primary,
          metrics: scored(task, devLogits, devLabels),
          devLogits,
          recipe: { method, train: { seed, lr: 5e-5, evaluate: 'epoch' }, alpha: method === 'mixkd' ? 0.4 : null },
          training: {
            seconds: seconds * fraction + seed,
            cpuSeconds: 2 * seconds * fraction,
            steps: 2105,
            examples: 67349 * fraction,
            stages: [],
          },
        });
      }),
    ),
  );
  return {
    task,
    teacher: {
      ref: 'runs/teacher',
      parameters: 109_483_778,
      flops: 22.35e9,
      metrics: scored(task, teacherLogits, devLabels),
      devLogits: teacherLogits,
    },
    devLabels,
    cells,
    commands: [`kdx compare --teacher runs/teacher --methods ${methods.map(({ method }) => method).join(',')}`],
  };
}

export function sampleCell(parts: Partial<Cell>): Cell {
  return {
    format: 1,
    method: 'kd',
    task: 'sst2',
    seed: 1,
    fraction: 1,
    trainExamples: 100,
    recipe: {},
    student: { layers: 3, depth: 6, hidden: 312, parameters: 12_500_000, flops: 1.25e9 },
    primary: 'accuracy',
    metrics: {},
    devLogits: [],
    training: { seconds: 10, steps: 20, examples: 300, stages: [] },
    versions: { node: '20.20.2', kdx: '0.1.0' },
    device: 'cpu',
    started: '2026-01-01T00:00:00.000Z',
    ...parts,
  };
}

function logitsOf(
  task: ComparedTask,
  labels: readonly number[],
  hardness: readonly number[],
  skill: number,
  random: Random,
): number[][] {
  return labels.map((label, i) => {
    const margin = skill + hardness[i]! + 0.6 * normal(random);
    if (task.kind === 'regression') return [label + (3 - skill) * 0.5 * (hardness[i]! + normal(random))];
    return task.labels.map((_, c) => (c === label ? margin : 0));
  });
}
