/** kdx finetune: a classifier from a pretrained encoder and labelled examples. */
import { Flags } from '@oclif/core';
import { KdxError } from 'kdx/errors';
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
import type { TrainingResult } from '../run.ts';
import { checkPrecision, stepFlags, stepRecipe } from './flags.ts';
import { renderTraining } from './result.ts';

export class Finetune extends KdxCommand<typeof Finetune, TrainingResult> {
  static override summary = 'Train a classifier on labelled examples.';
  static override description = `Starts from a pretrained BERT encoder (--model) and leaves a Hugging Face checkpoint folder in --out: the epoch that does best on the development examples is kept. Use it to make a teacher, or a student without a teacher.

Examples are a GLUE folder (--data and --task) or files of your own (--train and --dev). With --task mlm the model learns to fill masked words of plain text (--train FILE) instead, and the result is a pretrained encoder.

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
    {
      description: 'Pretraining on plain text:',
      command: '<%= config.bin %> <%= command.id %> --model encoder --task mlm --train text.txt --out pretrained',
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
    ...stepFlags,
    ...deviceFlags,
  };

  protected override async execute(): Promise<TrainingResult> {
    const { flags } = this;
    const [{ loadTaskData }, { resolveRecipe }, { finetuneSchema }, { finetune }] = await Promise.all([
      import('kdx/data'),
      import('kdx/recipe'),
      import('../recipe/schema.ts'),
      import('../finetune.ts'),
    ]);
    const recipe = await resolveRecipe(finetuneSchema, {
      file: flags.recipe,
      set: flags.set,
      flags: { train: { ...trainingRecipe(flags), ...stepRecipe(flags) } },
    });
    checkPrecision(recipe.train, flags.engine);
    const isPretraining = flags.task === 'mlm';
    if (isPretraining && flags.train === undefined)
      throw new KdxError('invalid-usage', '--task mlm needs a file of plain text', {
        suggestions: ['--train FILE with one sentence or paragraph a line, and an empty line between documents'],
      });
    const examples = isPretraining
      ? { corpus: flags.train as string }
      : { data: await loadTaskData(dataSource(flags)) };
    return withEngine({ ...flags, config: this.config }, (engine) => {
      this.progress.message(`device: ${engine.device.description} (${engine.device.reason})`);
      return finetune({
        ...(flags.model !== undefined && { model: flags.model }),
        ...(flags.config !== undefined && { config: flags.config }),
        ...examples,
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
    if (result.task === 'corpus')
      return renderTraining(result, [`kdx finetune --model ${result.out} --data DIR --task sst2 --out DIR`]);
    const data = result.task === 'custom' ? '--train FILE --dev FILE' : `--data DIR --task ${result.task}`;
    return renderTraining(result, [`kdx distill --teacher ${result.out} --student layers=3 ${data} --out DIR`]);
  }
}
