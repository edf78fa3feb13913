/** kdx eval: the task's metrics of a classifier. */
import { Flags } from '@oclif/core';
import { dataFlags, dataSource, deviceFlags, formatPercent, KdxCommand, maxLengthFlag } from 'kdx/cli';
import type { Evaluation } from '../evaluation.ts';

/** Nothing is trained here. */
const { train: _train, ...evaluationFlags } = dataFlags;

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
    dev: Flags.string({
      summary: 'In place of --data: labelled examples, a .tsv, .csv or .jsonl file with named columns.',
      helpValue: 'FILE',
      helpGroup: 'DATA',
    }),
    'max-length': maxLengthFlag,
    ...deviceFlags,
  };

  protected override async execute(): Promise<Evaluation> {
    const { flags } = this;
    const [{ loadTaskData }, { openEngine }, { evaluate }] = await Promise.all([
      import('kdx/data'),
      import('kdx/engine'),
      import('../evaluation.ts'),
    ]);
    const data = await loadTaskData(dataSource(flags, true), { splits: ['dev'] });
    const engine = await openEngine({ device: flags.device, ...(flags.threads && { threads: flags.threads }) });
    try {
      return await evaluate({
        model: flags.model,
        data,
        ...(flags['max-length'] !== undefined && { maxLength: flags['max-length'] }),
        engine,
        progress: this.progress,
        signal: this.signal,
      });
    } finally {
      await engine.close();
    }
  }

  protected override render({ model, task, examples, metrics }: Evaluation): string {
    const list = Object.entries(metrics).map(([name, value]) => `${name} ${formatPercent(value)}`);
    return `${model}: ${task} ${list.join(', ')} (${examples} examples)`;
  }
}
