/** kdx finetune: a classifier from a pretrained encoder and labelled examples. */
import { Flags } from '@oclif/core';
import {
  dataFlags,
  dataSource,
  deviceFlags,
  KdxCommand,
  runFlags,
  trainingFlags,
  trainingRecipe,
  withEngine,
} from 'kdx/cli';
import type { TrainingResult } from '../classifier-training.ts';
import { renderTraining } from './result.ts';

export class Finetune extends KdxCommand<typeof Finetune, TrainingResult> {
  static override summary = 'Train a classifier on labelled examples.';
  static override description = `Starts from a pretrained BERT encoder (--model) and leaves a Hugging Face checkpoint folder in --out: the epoch that does best on the development examples is kept. Use it to make a teacher, or a student without a teacher.

Examples are a GLUE folder (--data and --task) or files of your own (--train and --dev).

A run can be stopped at any time; the same command with --resume goes on where it was, to the same weights.`;
  static override examples = [
    {
      description: 'A teacher for SST-2:',
      command: '<%= config.bin %> <%= command.id %> --model encoder --data SST-2 --task sst2 --out teacher',
    },
    {
      description: 'Your own files:',
      command:
        '<%= config.bin %> <%= command.id %> --model org/name --train train.csv --dev dev.csv --text-column review --label-column stars --out teacher',
    },
  ];
  static override flags = {
    model: Flags.string({
      summary: 'Pretrained encoder or classifier to start from: checkpoint folder, or hub id (org/name).',
      helpValue: 'DIR',
      exclusive: ['config'],
    }),
    config: Flags.string({
      summary: 'In place of --model: a config.json with tokenizer files beside it, to start from random weights.',
      helpValue: 'FILE',
    }),
    ...runFlags,
    ...dataFlags,
    regression: Flags.boolean({
      summary: 'With --train and --dev: the label is a number to predict, not a class.',
      helpGroup: 'DATA',
    }),
    ...trainingFlags,
    ...deviceFlags,
  };

  protected override async execute(): Promise<TrainingResult> {
    const { flags } = this;
    const [{ loadTaskData }, { finetuneSchema, resolveRecipe }, { finetune }] = await Promise.all([
      import('kdx/data'),
      import('kdx/recipe'),
      import('../finetune.ts'),
    ]);
    const recipe = await resolveRecipe(finetuneSchema, {
      file: flags.recipe,
      set: flags.set,
      flags: { train: trainingRecipe(flags) },
    });
    const data = await loadTaskData(dataSource(flags));
    return withEngine(flags, (engine) => {
      this.progress.message(`device: ${engine.device.description} (${engine.device.reason})`);
      return finetune({
        ...(flags.model !== undefined && { model: flags.model }),
        ...(flags.config !== undefined && { config: flags.config }),
        data,
        out: flags.out,
        train: recipe.train,
        resume: flags.resume,
        engine,
        progress: this.progress,
        signal: this.signal,
      });
    });
  }

  protected override render(result: TrainingResult): string {
    const data = result.task === 'custom' ? '--train FILE --dev FILE' : `--data DIR --task ${result.task}`;
    return renderTraining(result, [`kdx distill --teacher ${result.out} --student layers=3 ${data} --out DIR`]);
  }
}
