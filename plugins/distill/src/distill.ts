/** Distillation: a student trained by the stages of a recipe on what finetuned teachers say. */
import { loadCheckpoint } from 'kdx/checkpoint';
import { loadTokenizer, type TaskData } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import { invalidRecipe, type CheckedRecipe, type JsonObject } from 'kdx/recipe';
import { loadCorpus, type Corpus } from './corpus.ts';
import { planOf, preflightProblems, type Plan, type PreflightInput } from './preflight.ts';
import type { DistillRecipe } from './recipe/schema.ts';
import { runStages, type StagedRun, type TrainingResult } from './run.ts';
import type { StudentRecipe } from './recipe/student-schema.ts';
import type { Surroundings } from './stage.ts';
import { buildStudent, studentFromCheckpoint, type Student } from './student.ts';
import { openTeacher, teachingHash, weightsHash, type TeacherModel } from './teacher.ts';

export interface DistillOptions {
  /** More than one is an ensemble. */
  readonly teachers: readonly string[];
  /** A checkpoint to start from, in place of the recipe's shape. */
  readonly studentModel?: string;
  /** With what was found wrong in it, to be reported together with everything else. */
  readonly recipe: CheckedRecipe<DistillRecipe>;
  readonly data?: TaskData;
  /** A file of plain text; not opened where no stage reads it. */
  readonly corpus?: string;
}

export interface DistillRun extends Surroundings, Pick<StagedRun, 'out' | 'resume' | 'stageStore'> {}

export interface DistillResult extends TrainingResult {
  readonly student: { readonly layers: number; readonly depth: number; readonly hidden: number; readonly from: string };
}

/** Models and text as they are opened. */
interface Opened extends Pick<PreflightInput, 'teachers' | 'student' | 'tokenizer'> {
  /** Folder of the student's tokenizer. */
  readonly tokenizerFrom: string;
  readonly corpus: Corpus | undefined;
  readonly studentHash: string;
}

/** Models, data and recipe that fit each other. */
export interface Prepared extends PreflightInput, Opened {
  readonly recipe: DistillRecipe;
  readonly plan: Plan;
}

/**
 * Opens everything and checks it before anything is trained.
 * @throws KdxError of loading; `invalid-recipe` and `impossible-distillation`, which list all that is wrong
 */
export async function prepareDistillation(options: DistillOptions): Promise<Prepared> {
  const { recipe, problems } = options.recipe;
  if (!recipe) throw invalidRecipe(problems);
  const opened = await reportedWith(problems, () => open(options, recipe));
  const { stages, train } = recipe;
  const input = { ...opened, stages, train, data: options.data, corpusSize: opened.corpus?.examples.count };
  const found = preflightProblems(input);
  if (problems.length > 0 && found.length === 0) throw invalidRecipe(problems);
  const [only] = found;
  if (only && only.suggestions.length > 0 && problems.length + found.length === 1) throw only;
  if (only) throw impossible([...problems, ...found.map(({ message }) => message)]);
  return { ...input, recipe, plan: planOf(input) };
}

/** Does what may fail; a failure is reported together with what is wrong with the recipe. */
export async function reportedWith<T>(problems: readonly string[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (problems.length === 0 || !(error instanceof KdxError)) throw error;
    throw impossible([...problems, error.message]);
  }
}

async function open(options: DistillOptions, recipe: DistillRecipe): Promise<Opened> {
  checkStudent(options, recipe);
  const needsHead = recipe.stages.some((stage) => stage.data === 'task');
  const teachers: TeacherModel[] = [];
  for (const ref of options.teachers) teachers.push(await openTeacher(ref, needsHead));
  const { student, hash: studentHash, dir } = await openStudent(options, recipe, teachers);
  const tokenizer = await loadTokenizer(dir);
  const readsText = recipe.stages.some((stage) => stage.data === 'corpus');
  const corpus =
    readsText && options.corpus !== undefined
      ? await loadCorpus(options.corpus, tokenizer, recipe.train.maxLength)
      : undefined;
  return { teachers, student, studentHash, tokenizer, tokenizerFrom: dir, corpus };
}

function impossible(problems: readonly string[]): KdxError {
  return new KdxError(
    'impossible-distillation',
    problems.length === 1
      ? (problems[0] as string)
      : `${problems.length} things would not work\n${problems.map((line) => `  ${line}`).join('\n')}`,
    { suggestions: ['correct what is said above; --print-recipe shows the recipe, --dry-run checks everything again'] },
  );
}

/** Trains what was prepared, or goes on with it. @throws KdxError of training */
export async function distill(prepared: Prepared, run: DistillRun): Promise<DistillResult> {
  const { recipe, student, teachers, tokenizer, tokenizerFrom, data, corpus, stages, train } = prepared;
  const result = await runStages({
    ...run,
    command: 'distill',
    recipe: recipe as unknown as JsonObject,
    train,
    stages,
    student,
    teachers,
    tokenizer,
    tokenizerFrom,
    ...(data && { data }),
    ...(corpus && { corpus }),
    inputs: {
      ...Object.fromEntries(
        teachers.map((teacher, i) => [i === 0 ? 'teacher' : `teacher ${i + 1}`, teachingHash(teacher, tokenizer)]),
      ),
      student: prepared.studentHash,
    },
  });
  const { layers, depth, hidden, from } = prepared.plan.student;
  return { ...result, student: { layers, depth, hidden, from } };
}

/** Either a checkpoint or a shape; and a teacher. */
function checkStudent({ studentModel, teachers }: DistillOptions, recipe: DistillRecipe): void {
  if (teachers.length === 0)
    throw new KdxError('invalid-usage', 'a teacher is needed', { suggestions: ['--teacher DIR'] });
  if (studentModel === undefined && recipe.student === undefined)
    throw new KdxError('invalid-usage', 'a student is needed', {
      suggestions: ['--student layers=N for a student made of layers of the teacher', '--student DIR for a checkpoint'],
    });
  if (studentModel !== undefined && recipe.student !== undefined)
    throw new KdxError('invalid-recipe', `--student ${studentModel} is a checkpoint, which has a shape already`, {
      suggestions: ['leave out student.* of the recipe, or give a shape as --student layers=N'],
    });
}

async function openStudent(
  { studentModel, data }: DistillOptions,
  recipe: DistillRecipe,
  teachers: readonly TeacherModel[],
): Promise<{ student: Student; hash: string; dir: string }> {
  if (studentModel !== undefined) {
    const checkpoint = await loadCheckpoint(studentModel);
    const student = studentFromCheckpoint(checkpoint, data?.task);
    return { student, hash: weightsHash(checkpoint.weights), dir: checkpoint.dir };
  }
  const [teacher] = teachers as [TeacherModel];
  if (!teacher.checkpoint)
    throw new KdxError(
      'invalid-student',
      `${teacher.ref} is an ONNX file: its layers cannot be copied into a student`,
      {
        suggestions: [
          '--student DIR with a checkpoint to start from',
          '--teacher DIR with the checkpoint of the teacher',
        ],
      },
    );
  const student = await buildStudent(recipe.student as StudentRecipe, teacher.checkpoint);
  return { student, hash: weightsHash(student.weights), dir: teacher.dir };
}
