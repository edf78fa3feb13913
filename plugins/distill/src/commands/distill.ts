/** kdx distill: a small student from a finetuned teacher. */
import { Flags } from '@oclif/core';
import {
  dataFlags,
  deviceFlags,
  KdxCommand,
  loadModelData,
  runFlags,
  trainingFlags,
  trainingRecipe,
  withEngine,
} from 'kdx/cli';
import type { DistillResult } from '../distill.ts';
import { renderTraining } from './result.ts';

export class Distill extends KdxCommand<typeof Distill, DistillResult> {
  static override summary = 'Train a small student to answer like its teacher.';
  static override description = `The student learns from the labels and from the teacher's logits, which are computed once and cached. By default it starts from evenly spread layers of the teacher, or from random weights when other sizes than its layers are given. The result is a Hugging Face checkpoint folder in --out.

Examples are a GLUE folder (--data and --task) or files of your own (--train and --dev), the ones that the teacher was finetuned on.

A run can be stopped at any time; the same command with --resume goes on where it was, to the same weights.`;
  static override examples = [
    {
      description: 'Half the layers of a 6-layer teacher:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student layers=3 --data SST-2 --task sst2 --out small',
    },
    {
      description: 'Softer targets, other layers:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student layers=2 --data SST-2 --task sst2 --out small --set temperature=4 --set student.init.layers=[0,5]',
    },
  ];
  static override flags = {
    teacher: Flags.string({
      summary: 'Finetuned classifier: checkpoint folder, hub id, or ONNX file.',
      helpValue: 'DIR|FILE',
      required: true,
    }),
    student: Flags.string({
      summary:
        'Its shape, as layers=3 or layers=3,hidden=312,heads=12,intermediate=1200 (sizes that are left out are those of the teacher); or a checkpoint to start from.',
      helpValue: 'SHAPE|DIR',
    }),
    method: Flags.option({
      options: ['kd'] as const,
      summary: 'What the student learns from the teacher (default kd: its logits).',
    })(),
    ...runFlags,
    ...dataFlags,
    ...trainingFlags,
    limit: Flags.integer({
      min: 1,
      summary: 'Train on N examples only, chosen by the seed.',
      helpValue: 'N',
      helpGroup: 'TRAINING',
    }),
    ...deviceFlags,
  };

  protected override async execute(): Promise<DistillResult> {
    const { flags } = this;
    const [{ limitExamples }, recipes, { distill }] = await Promise.all([
      import('kdx/data'),
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
        train: trainingRecipe(flags),
      },
    });
    const all = await loadModelData(flags, flags.teacher, ['train', 'dev']);
    const limit = flags.limit ?? all.train.length;
    const data = { ...all, train: limitExamples(all.train, limit, recipe.train.seed) };
    return withEngine(flags, (engine) => {
      this.progress.message(`device: ${engine.device.description} (${engine.device.reason})`);
      return distill({
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
    });
  }

  protected override render(result: DistillResult): string {
    const student = `student: ${result.student.layers} layers, hidden ${result.student.hidden}, from ${result.student.from}`;
    return `${student}\n${renderTraining(result, [`kdx export --onnx --model ${result.out} --out DIR`])}`;
  }
}
