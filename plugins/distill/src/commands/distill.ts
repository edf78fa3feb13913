/** kdx distill: a small student from a finetuned teacher. */
import { Flags } from '@oclif/core';
import {
  batchFlag,
  dataFlags,
  dataSource,
  deviceFlags,
  KdxCommand,
  limitFlag,
  maxLengthFlag,
  numberFlag,
  resumeFlag,
  seedFlag,
} from 'kdx/cli';
import type { DistillResult } from '../distill.ts';
import { renderTraining } from './result.ts';

export class Distill extends KdxCommand<typeof Distill, DistillResult> {
  static override summary = 'Train a small student to answer like its teacher.';
  static override description = `The student learns from the labels and from the teacher's logits, which are computed once and cached. By default it starts from evenly spread layers of the teacher. The result is a Hugging Face checkpoint folder.

A run can be stopped at any time; the same command with --resume goes on where it was, to the same weights.`;
  static override examples = [
    {
      description: 'Half the layers of a 6-layer teacher:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student layers=3 --method kd --data SST-2 --task sst2 --out small',
    },
    {
      description: 'Softer targets, other layers:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student layers=2 --data SST-2 --task sst2 --out small --set temperature=4 --set student.init.layers=[0,5]',
    },
  ];
  static override flags = {
    teacher: Flags.string({
      summary: 'Finetuned checkpoint folder, hub id, or ONNX file.',
      helpValue: 'DIR',
      required: true,
    }),
    student: Flags.string({
      summary: 'Shape (layers=3, hidden=312, heads=12, intermediate=1200), or a checkpoint folder to start from.',
      helpValue: 'SHAPE|DIR',
    }),
    method: Flags.option({ options: ['kd'] as const, summary: 'What the student learns from the teacher.' })(),
    ...dataFlags,
    out: Flags.string({ summary: 'Folder for the run and its result.', helpValue: 'DIR', required: true }),
    epochs: Flags.integer({ min: 1, summary: 'Passes over the training examples (default 3).', helpValue: 'N' }),
    lr: numberFlag({ min: 0, summary: 'Peak learning rate (default 5e-5).', helpValue: 'X' }),
    batch: batchFlag,
    'max-length': maxLengthFlag,
    seed: seedFlag,
    limit: limitFlag,
    recipe: Flags.string({ summary: 'JSON file with any options of the recipe.', helpValue: 'FILE' }),
    set: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      summary: 'One option of the recipe, such as temperature=4; may be repeated.',
      helpValue: 'KEY=VALUE',
    }),
    ...deviceFlags,
    resume: resumeFlag,
  };

  protected override async execute(): Promise<DistillResult> {
    const { flags } = this;
    const [{ limitExamples, loadTaskData }, { openEngine }, recipes, { distill }] = await Promise.all([
      import('kdx/data'),
      import('kdx/engine'),
      import('kdx/recipe'),
      import('../distill.ts'),
    ]);
    const { distillSchema, isStudentShape, parseStudent, resolveRecipe } = recipes;
    const isShape = flags.student !== undefined && isStudentShape(flags.student);
    const studentModel = isShape ? undefined : flags.student;
    const recipe = await resolveRecipe(distillSchema, {
      file: flags.recipe,
      set: flags.set,
      flags: {
        method: flags.method,
        ...(isShape && { student: parseStudent(flags.student as string) }),
        train: {
          epochs: flags.epochs,
          lr: flags.lr,
          batch: flags.batch,
          maxLength: flags['max-length'],
          seed: flags.seed,
        },
      },
    });
    const all = await loadTaskData(dataSource(flags));
    const limit = flags.limit ?? all.train.length;
    const data = { ...all, train: limitExamples(all.train, limit, recipe.train.seed) };
    const engine = await openEngine({ device: flags.device, ...(flags.threads && { threads: flags.threads }) });
    try {
      this.progress.message(`device: ${engine.device.description} (${engine.device.reason})`);
      return await distill({
        teacher: flags.teacher,
        ...(studentModel !== undefined && { studentModel }),
        recipe,
        data,
        out: flags.out,
        resume: flags.resume,
        engine,
        progress: this.progress,
        signal: this.signal,
      });
    } finally {
      await engine.close();
    }
  }

  protected override render(result: DistillResult): string {
    const student = `student: ${result.student.layers} layers, hidden ${result.student.hidden}, from ${result.student.from}`;
    return `${student}\n${renderTraining(result, [`kdx export --onnx --model ${result.out} --out DIR`])}`;
  }
}
