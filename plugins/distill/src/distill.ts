/** Distillation: a student trained on labels and on what a finetuned teacher says. */
import { loadCheckpoint } from 'kdx/checkpoint';
import { checkLabels, checkLength, openSource, type ClassifierSource } from 'kdx/classifier';
import { loadTokenizer, type TaskData } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import type { Tensor } from 'kdx/graph';
import type { DistillRecipe, JsonObject, StudentRecipe } from 'kdx/recipe';
import { trainClassifier, type Surroundings, type TrainingResult } from './classifier-training.ts';
import { kd } from './methods/kd.ts';
import { buildStudent, studentFromCheckpoint, type Student } from './student.ts';
import { teacherHash, teacherLogits, weightsHash } from './teacher-logits.ts';

export interface DistillOptions extends Surroundings {
  readonly teacher: string;
  /** A checkpoint to start from, in place of the recipe's shape. */
  readonly studentModel?: string;
  readonly recipe: DistillRecipe;
  readonly data: TaskData;
  readonly out: string;
  readonly resume: boolean;
}

export interface DistillResult extends TrainingResult {
  readonly student: { readonly layers: number; readonly hidden: number; readonly from: string };
  readonly teacherLogitsCached: boolean;
}

/** @throws KdxError `label-mismatch`, `vocabulary-mismatch`, `invalid-student` and those of loading and training */
export async function distill(options: DistillOptions): Promise<DistillResult> {
  const { recipe, data, engine, progress, signal } = options;
  checkStudent(options);
  const teacher = await openSource(options.teacher);
  checkLabels(teacher, data.task, [
    `kdx finetune --model ${teacher.ref} --task ${data.task.name} ... makes a teacher for this task`,
  ]);
  checkLength(recipe.train.maxLength, teacher.config);
  const { student, hash, dir } = await openStudent(options, teacher);
  const tokenizer = await loadTokenizer(dir);
  if (tokenizer.hash !== teacher.tokenizer.hash)
    throw new KdxError('vocabulary-mismatch', `${options.teacher} and ${dir} have different tokenizers`, {
      suggestions: ['a student reads the same tokens as its teacher: start it from a checkpoint with that tokenizer'],
    });
  const regression = data.task.kind === 'regression';
  const labels = teacher.config.labels.length;
  let cached = false;
  const result = await trainClassifier({
    ...options,
    command: 'distill',
    recipe: recipe as unknown as JsonObject,
    train: recipe.train,
    inputs: { teacher: await teacherHash(teacher), student: hash },
    student,
    tokenizer,
    tokenizerFrom: teacher.dir,
    async prepare(examples) {
      const found = await teacherLogits(teacher, examples, engine, {
        maxLength: recipe.train.maxLength,
        progress,
        signal,
      });
      cached = found.cached;
      return { feeds: (rows) => ({ teacher_logits: pickRows(found.logits, rows) }) };
    },
    loss(context, outputs) {
      const logits = context.input('teacher_logits', 'float32', [context.bucket.rows, labels]);
      return kd.loss(context, outputs, { logits }, { ...recipe, regression });
    },
  });
  const { config } = student;
  return {
    ...result,
    student: { layers: config.layers, hidden: config.hiddenSize, from: student.origin },
    teacherLogitsCached: cached,
  };
}

/** Rows of a matrix, in order. */
function pickRows(matrix: Tensor<'float32'>, rows: readonly number[]): Tensor<'float32'> {
  const width = matrix.dims[1] as number;
  const data = new Float32Array(rows.length * width);
  rows.forEach((row, i) => data.set(matrix.data.subarray(row * width, (row + 1) * width), i * width));
  return { dtype: 'float32', dims: [rows.length, width], data };
}

/** Either a checkpoint or a shape. */
function checkStudent({ recipe, studentModel }: DistillOptions): void {
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
  { recipe, studentModel, data }: DistillOptions,
  teacher: ClassifierSource,
): Promise<{ student: Student; hash: string; dir: string }> {
  if (studentModel !== undefined) {
    const checkpoint = await loadCheckpoint(studentModel);
    const student = studentFromCheckpoint(checkpoint, data.task.labels, recipe.train.seed);
    return { student, hash: weightsHash(checkpoint.weights), dir: checkpoint.dir };
  }
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
  const student = await buildStudent(recipe.student as StudentRecipe, teacher.checkpoint, recipe.train.seed);
  return { student, hash: weightsHash(student.parameters), dir: teacher.dir };
}
