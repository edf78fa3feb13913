/** kdx distill: a small student from a finetuned teacher. */
import { Flags } from '@oclif/core';
import {
  dataFlags,
  deviceFlags,
  formatBytes,
  formatCount,
  hasData,
  KdxCommand,
  loadModelData,
  runFlags,
  trainingFlags,
  trainingRecipe,
  withEngine,
} from 'kdx/cli';
import { KdxError } from 'kdx/errors';
import type { JsonObject } from 'kdx/recipe';
import type { DistillResult } from '../distill.ts';
import type { Plan } from '../preflight.ts';
import { augmentedFlag, checkPrecision, stepFlags, stepRecipe, teacherFlag } from './flags.ts';
import { presetNames, presets } from '../recipe/presets.ts';
import { renderTraining } from './result.ts';

/** A whole run, what a run would do, or the recipe itself. */
export type DistillOutput = DistillResult | { readonly plan: Plan } | { readonly recipe: JsonObject };

export class Distill extends KdxCommand<typeof Distill, DistillOutput> {
  static override summary = 'Train a small student to answer like its teacher.';
  static override description = `The student learns in the stages of a recipe. Named recipes are chosen by --method:

${presetNames.map((name) => `  ${name.padEnd(17)} ${presets[name].summary}`).join('\n')}

--print-recipe prints a recipe with all its options, to be changed and given back as --recipe FILE; single options are set by --set, as in --set kd.temperature=4. Everything is checked before anything is trained; --dry-run stops there.

By default the student starts from evenly spread layers of the teacher, or from random weights when other sizes than its layers are given. The result is a Hugging Face checkpoint folder in --out. Several teachers (--teacher repeated) teach the mean of their probabilities.

Examples are a GLUE folder (--data and --task) or files of your own (--train and --dev), the ones that the teacher was finetuned on.

A run can be stopped at any time; the same command with --resume goes on where it was, to the same weights.`;
  static override examples = [
    {
      description: 'Half the layers of a 6-layer teacher:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student layers=3 --data SST-2 --task sst2 --out small',
    },
    {
      description: 'Shared layers and pretraining on what the teacher makes of each example:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student layers=3 --method pea-kd --data RTE --task rte --out small',
    },
    {
      description: 'A recipe to change:',
      command: '<%= config.bin %> <%= command.id %> --method tinybert --student layers=3 --print-recipe > my.json',
    },
    {
      description: 'Softer targets, other layers:',
      command:
        '<%= config.bin %> <%= command.id %> --teacher teacher --student layers=2 --data SST-2 --task sst2 --out small --set temperature=4 --set student.init.layers=[0,5]',
    },
  ];
  static override flags = {
    teacher: teacherFlag,
    student: Flags.string({
      summary:
        'Its shape, as layers=3 or layers=3,hidden=312,heads=12,intermediate=1200 (sizes that are left out are those of the teacher); or a checkpoint to start from.',
      helpValue: 'SHAPE|DIR',
    }),
    method: Flags.string({
      summary: 'A named recipe, see above (default kd).',
      helpValue: 'NAME',
    }),
    out: Flags.string({ summary: 'Folder for the run and its result; new or empty.', helpValue: 'DIR' }),
    resume: runFlags.resume,
    'dry-run': Flags.boolean({ summary: 'Check everything, say what would be done, and stop.' }),
    'print-recipe': Flags.boolean({ summary: 'Print the recipe as JSON, with every option, and stop.' }),
    ...dataFlags,
    augmented: augmentedFlag,
    corpus: Flags.string({
      summary: 'Plain text for recipes that pretrain: a sentence or paragraph a line, an empty line between documents.',
      helpValue: 'FILE',
      helpGroup: 'DATA',
    }),
    ...trainingFlags,
    ...stepFlags,
    limit: Flags.integer({
      min: 1,
      summary: 'Train on N examples only, chosen by the seed, each class with its share.',
      helpValue: 'N',
      helpGroup: 'TRAINING',
    }),
    ...deviceFlags,
  };

  protected override async execute(): Promise<DistillOutput> {
    const { flags } = this;
    const [{ invalidRecipe }, { checkDistillRecipe }, { isStudentShape, parseStudent }] = await Promise.all([
      import('kdx/recipe'),
      import('../recipe/resolve.ts'),
      import('../recipe/student.ts'),
    ]);
    const isShape = flags.student !== undefined && isStudentShape(flags.student);
    const studentModel = isShape ? undefined : flags.student;
    const checked = await checkDistillRecipe({
      method: flags.method,
      file: flags.recipe,
      set: flags.set,
      flags: {
        ...(isShape && { student: parseStudent(flags.student as string) }),
        train: { ...trainingRecipe(flags), ...stepRecipe(flags) },
      },
      studentGiven: studentModel !== undefined,
    });
    const { recipe, problems } = checked;
    if (!recipe || (flags['print-recipe'] && problems.length > 0)) throw invalidRecipe(problems, flags.recipe);
    if (flags['print-recipe']) return { recipe: recipe as unknown as JsonObject };
    checkPrecision(recipe.train, flags.engine);
    const [{ prepareDistillation, distill, reportedWith }, { trainingData }] = await Promise.all([
      import('../distill.ts'),
      import('../training-data.ts'),
    ]);
    const teachers = flags.teacher ?? [];
    const [first] = teachers;
    const data =
      first !== undefined && hasData(flags)
        ? await reportedWith(problems, async () =>
            trainingData(await loadModelData(flags, first, ['train', 'dev']), {
              augmented: flags.augmented ?? [],
              ...(flags.limit !== undefined && { limit: flags.limit }),
              seed: recipe.train.seed,
            }),
          )
        : undefined;
    const prepared = await prepareDistillation({
      teachers,
      ...(studentModel !== undefined && { studentModel }),
      recipe: checked,
      ...(data && { data }),
      ...(flags.corpus !== undefined && { corpus: flags.corpus }),
    });
    if (flags['dry-run']) return { plan: prepared.plan };
    if (flags.out === undefined)
      throw new KdxError('invalid-usage', 'Missing required flag out', { suggestions: ['--out DIR, new or empty'] });
    for (const line of planLines(prepared.plan)) this.progress.message(line);
    return withEngine({ ...flags, config: this.config }, (engine) => {
      this.progress.message(`device: ${engine.device.description} (${engine.device.reason})`);
      return distill(prepared, {
        out: flags.out as string,
        resume: flags.resume,
        engine,
        progress: this.progress,
        signal: this.signal,
      });
    });
  }

  protected override render(result: DistillOutput): string {
    if ('recipe' in result) return JSON.stringify(result.recipe, null, 2);
    if ('plan' in result) return [...planLines(result.plan), 'nothing speaks against it'].join('\n');
    const { layers, depth, hidden, from } = result.student;
    const shared = depth === layers ? '' : ` (${depth} run)`;
    const student = `student: ${layers} layers${shared}, hidden ${hidden}, from ${from}`;
    const next =
      result.task === 'corpus'
        ? `kdx finetune --model ${result.out} --data DIR --task sst2 --out DIR`
        : `kdx export --onnx --model ${result.out} --out DIR`;
    return `${student}\n${renderTraining(result, [next])}`;
  }
}

/** The plan for people. */
function planLines({ student, teachers, stages, machineBytes }: Plan): string[] {
  const depth = student.depth === student.layers ? '' : `, ${student.depth} layers deep`;
  return [
    ...teachers.map(
      ({ ref, layers, hidden, ownTokens }) =>
        `teacher: ${ref}${layers > 0 ? `, ${layers} layers, hidden ${hidden}` : ''}${ownTokens ? ', another tokenizer than the student' : ''}`,
    ),
    `student: ${student.layers} layers${depth}, hidden ${student.hidden}, ${formatCount(student.parameters)} parameters, from ${student.from}`,
    ...stages.flatMap((stage) => {
      const losses = stage.losses.map(({ method, weight }) => (weight === 1 ? method : `${weight} ${method}`));
      const cached =
        stage.cached.length > 0 ? `, asked once: ${stage.cached.join(', ')} (${formatBytes(stage.cacheBytes)})` : '';
      const inStep = stage.teacherInStep ? ', teacher in every step' : '';
      const memory = `up to ${formatBytes(stage.memoryBytes)} of memory`;
      return [
        `stage ${stage.name}: ${losses.join(' + ')}, ${stage.examples} examples, ${stage.epochs} epochs, ${stage.steps} steps${inStep}${cached}, ${memory}`,
        ...(stage.memoryBytes > machineBytes
          ? [
              `note: that is more than the ${formatBytes(machineBytes)} of this machine: --recompute, or a smaller --batch or --max-length`,
            ]
          : []),
      ];
    }),
  ];
}
