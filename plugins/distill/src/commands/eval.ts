/** kdx eval: the task's metrics of a classifier. */
import { Flags } from '@oclif/core';
import {
  deviceFlags,
  evaluationFlags,
  formatPercent,
  KdxCommand,
  loadModelData,
  maxLengthFlag,
  withEngine,
} from 'kdx/cli';
import type { Evaluation } from '../evaluation.ts';

export class Eval extends KdxCommand<typeof Eval, Evaluation> {
  static override summary = 'Measure how good a classifier is on labelled examples.';
  static override description =
    'Prints the metrics of the task: on the development set of a GLUE folder (--data and --task), or on a file of your own (--dev).';
  static override examples = [
    {
      description: 'A checkpoint:',
      command: '<%= config.bin %> <%= command.id %> --model teacher --data SST-2 --task sst2',
    },
    {
      description: 'An exported file:',
      command: '<%= config.bin %> <%= command.id %> --model exported/onnx/model.onnx --data SST-2 --task sst2 --json',
    },
  ];
  static override flags = {
    model: Flags.string({
      summary: 'Checkpoint folder, hub id, exported folder, or ONNX file.',
      helpValue: 'DIR|FILE',
      required: true,
    }),
    ...evaluationFlags,
    'max-length': maxLengthFlag,
    ...deviceFlags,
  };

  protected override async execute(): Promise<Evaluation> {
    const { flags } = this;
    const { evaluate } = await import('../evaluation.ts');
    const data = await loadModelData(flags, flags.model);
    return withEngine({ ...flags, config: this.config }, (engine) =>
      evaluate({
        model: flags.model,
        data,
        ...(flags['max-length'] !== undefined && { maxLength: flags['max-length'] }),
        threads: flags.threads,
        engine,
        progress: this.progress,
        signal: this.signal,
      }),
    );
  }

  protected override render({ model, task, examples, metrics }: Evaluation): string {
    const list = Object.entries(metrics).map(([name, value]) => `${name} ${formatPercent(value)}`);
    return `${model}: ${task} ${list.join(', ')} (${examples} examples)`;
  }
}
