/** kdx compare: the same student by several methods, and what each is worth. */
import { Flags } from '@oclif/core';
import { dataFlags, deviceFlags, KdxCommand, loadModelData, trainingFlags, trainingRecipe, withEngine } from 'kdx/cli';
import { KdxError } from 'kdx/errors';
import { renderText } from '../compare/render-text.ts';
import type { CompareReport } from '../compare/report.ts';
import { augmentedFlag, teacherFlag } from './flags.ts';
import { presetNames } from '../recipe/presets.ts';

const { recipe: _recipe, ...withoutRecipe } = trainingFlags;

export class Compare extends KdxCommand<typeof Compare, CompareReport> {
  static override summary = 'Measure what distillation is worth: the same student by several methods and seeds.';
  static override description = `Trains the student by each method with each seed, and by finetuning without a teacher, which is always among them. The report gives mean and spread over the seeds, the difference to finetuning and to kd (and to the methods of --against, such as the full one in an ablation) with a 95 % interval from a paired bootstrap on the same development examples, agreement with the teacher, calibration, parameters, FLOPs and the cost of training: as a table, as JSON (report.json), as Markdown (report.md) and as a page (index.html) in --out.

A method is a named recipe (${presetNames.join(', ')}), or NAME=FILE with a recipe file as kdx distill --print-recipe writes it. --set changes what all of them have (train.*, student.*); an option of one method goes into a file of its own.

It can be stopped at any time; --resume goes on, trains only what is not finished, and takes further methods, seeds and fractions. Several processes may work on the same --out at once. Methods that begin with the same stages train these once for each seed, which changes no result; the cost of each method counts them in full.`;
  static override examples = [
    {
      description: 'Three methods and finetuning, three seeds:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student layers=3 --methods kd,pkd,mixkd --seeds 3 --data MRPC --task mrpc --out compared',
    },
    {
      description: 'With less data, and a recipe of your own:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student layers=3 --methods kd,mine=my.json --fractions 1%,10%,100% --data SST-2 --task sst2 --out compared',
    },
  ];
  static override flags = {
    teacher: teacherFlag,
    student: Flags.string({
      summary: 'Its shape, as layers=3; or a checkpoint to start from.',
      helpValue: 'SHAPE|DIR',
    }),
    methods: Flags.string({
      summary: 'Methods, separated by commas: named recipes, or NAME=FILE.',
      helpValue: 'LIST',
      default: 'kd,pkd,tinybert,mixkd,pea-kd',
    }),
    seeds: Flags.integer({
      summary: 'Seeds of each cell: --seed and those after it.',
      helpValue: 'N',
      min: 1,
      default: 3,
    }),
    fractions: Flags.string({
      summary: 'Parts of the training data, as 1%,10%,100%.',
      helpValue: 'LIST',
      default: '100%',
    }),
    against: Flags.string({
      summary: 'Methods that the others are compared with, beside finetune and kd; with --report too.',
      helpValue: 'LIST',
    }),
    out: Flags.string({ summary: 'Folder for cells and report; new or empty.', helpValue: 'DIR', required: true }),
    resume: Flags.boolean({ summary: 'Go on with the comparison in --out.' }),
    report: Flags.boolean({ summary: 'Train nothing: write the report on what is in --out.' }),
    keep: Flags.boolean({ summary: 'Keep the trained students, in --out/runs.' }),
    ...dataFlags,
    augmented: augmentedFlag,
    corpus: Flags.string({
      summary: 'Plain text for recipes that pretrain.',
      helpValue: 'FILE',
      helpGroup: 'DATA',
    }),
    ...withoutRecipe,
    ...deviceFlags,
  };

  protected override async execute(): Promise<CompareReport> {
    const { flags } = this;
    const [
      { compare, reportOn },
      { checkDistillRecipe },
      { isStudentShape, parseStudent },
      { fractionsOf, methodsOf },
      { shellText },
    ] = await Promise.all([
      import('../compare/compare.ts'),
      import('../recipe/resolve.ts'),
      import('../recipe/student.ts'),
      import('../compare/lists.ts'),
      import('kdx/recipe'),
    ]);
    if (flags.report) return reportOn(flags.out, flags.against);
    const teachers = flags.teacher ?? [];
    const [first] = teachers;
    if (first === undefined || flags.student === undefined)
      throw new KdxError('invalid-usage', 'a teacher and a student are needed', {
        suggestions: ['--teacher DIR --student layers=3'],
      });
    const isShape = isStudentShape(flags.student);
    const methods = methodsOf(flags.methods).map(({ name, file }) => ({
      name,
      recipe: (seed: number) =>
        checkDistillRecipe({
          ...(file === undefined ? { method: name } : { file }),
          set: flags.set,
          flags: {
            ...(isShape && { student: parseStudent(flags.student as string) }),
            train: { ...trainingRecipe(flags), seed },
          },
          studentGiven: !isShape,
        }),
    }));
    const firstSeed = flags.seed ?? 1;
    const fractions = fractionsOf(flags.fractions);
    const data = await loadModelData(flags, first, ['train', 'dev']);
    return withEngine({ ...flags, config: this.config }, (engine) => {
      this.progress.message(`device: ${engine.device.description} (${engine.device.reason})`);
      return compare({
        out: flags.out,
        resume: flags.resume,
        teachers,
        ...(!isShape && { studentModel: flags.student as string }),
        methods,
        seeds: Array.from({ length: flags.seeds }, (_, i) => firstSeed + i),
        fractions,
        ...(flags.against !== undefined && { against: flags.against }),
        data,
        augmented: flags.augmented ?? [],
        ...(flags.corpus !== undefined && { corpus: flags.corpus }),
        keep: flags.keep,
        command: shellText(['kdx', 'compare', ...repeated(this.argv)]),
        engine,
        progress: this.progress,
        signal: this.signal,
      });
    });
  }

  protected override render(report: CompareReport): string {
    return renderText(report);
  }
}

/** Without the words that change how it is done or told, and not what is done. */
function repeated(words: readonly string[]): string[] {
  return words.filter((word) => !['--resume', '--json', '--quiet', '-q'].includes(word));
}
