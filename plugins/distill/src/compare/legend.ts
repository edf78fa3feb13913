/** What the columns of the tables mean. */
import { calibrationBinCount } from './fidelity.ts';
import { knowsWork } from './measured-rows.ts';
import type { CompareReport } from './report.ts';

export function legend({ task, fractions }: CompareReport): string[] {
  const tellsWork = fractions.some(({ rows }) => knowsWork(rows));
  return [
    `${task.primary}: times 100, mean over seeds ± sample standard deviation. Differences are in points (of 100) with ` +
      `their 95 % interval, on the same dev examples and seeds.`,
    `retained: mean over the teacher's ${task.primary}.`,
    ...(task.kind === 'classification' ? classification : regression),
    'params: unique tensors. FLOPs: one sequence of 128 tokens, a multiply-add counting 2. layers: with parameters of ' +
      'their own (run: with shared ones repeated). examples: seen in training, all epochs and stages. time: by the ' +
      `clock. ${tellsWork ? 'CPU time: work of the processors, all threads. ' : ''}relative: over that of finetune.`,
  ];
}

const classification = [
  "agreement: dev examples with the teacher's answer. KL: of the student from the teacher, temperature 1, nats. " +
    `NLL: negative log likelihood of the labels, nats. ECE: expected calibration error, ${calibrationBinCount} bins of equal width.`,
];
const regression = ["RMS difference: root of the mean squared difference to the teacher's values."];
