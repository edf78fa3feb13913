/** What a distillation is about to do, and everything that speaks against it, before anything is trained. */
import { availableParallelism, totalmem } from 'node:os';
import { checkLabels, checkLength, checkVocabulary } from 'kdx/classifier';
import type { TaskData, Tokenizer } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import { parameterCount, physicalLayers } from 'kdx/nn';
import { buildStep, stepMemory, stepOptions } from 'kdx/train';
import { methodNamed } from './methods/index.ts';
import type { Method, Taps } from './methods/method.ts';
import { ptpProblems } from './ptp.ts';
import type { StageRecipe, TrainRecipe } from './recipe/schema.ts';
import { stageTrain } from './run.ts';
import { activeLosses, shapesOf, stageHead, stageObjective, stageSteps, trainOptions } from './stage.ts';
import { cachedTaps, isInStep, studentParameters } from './step-models.ts';
import type { Student } from './student.ts';
import { tapWidth, type CachedTap } from './teacher-cache.ts';
import { ownTokens, type TeacherModel } from './teacher.ts';

export interface PlannedStage {
  readonly name: string;
  readonly data: StageRecipe['data'];
  readonly losses: readonly { readonly method: string; readonly weight: number }[];
  readonly examples: number;
  readonly epochs: number;
  readonly steps: number;
  readonly learningRate: number;
  /** Whether a teacher is computed in every step. */
  readonly teacherInStep: boolean;
  /** What is asked of the teachers once and kept, and bytes of the numbers. */
  readonly cached: readonly CachedTap[];
  readonly cacheBytes: number;
  /** Estimate for the longest batches. */
  readonly memoryBytes: number;
}

export interface Plan {
  readonly student: {
    readonly layers: number;
    readonly depth: number;
    readonly hidden: number;
    readonly parameters: number;
    readonly from: string;
  };
  readonly teachers: readonly {
    readonly ref: string;
    readonly layers: number;
    readonly hidden: number;
    /** Whether it has another tokenizer than the student. */
    readonly ownTokens: boolean;
  }[];
  readonly stages: readonly PlannedStage[];
  /** Bytes that the machine has in all. */
  readonly machineBytes: number;
  readonly threads: number;
}

export interface PreflightInput {
  readonly stages: readonly StageRecipe[];
  readonly train: TrainRecipe;
  readonly student: Student;
  readonly tokenizer: Tokenizer;
  readonly teachers: readonly TeacherModel[];
  readonly data?: TaskData | undefined;
  /** Sequences of the corpus, where there is one. */
  readonly corpusSize?: number | undefined;
}

/** Everything that is impossible. */
export function preflightProblems(input: PreflightInput): KdxError[] {
  const { stages, train, student, tokenizer, teachers, data } = input;
  const problems = [
    ...caught(() => checkLength(train.maxLength, student.config)),
    ...caught(() => checkVocabulary(tokenizer, student.config, student.origin)),
    ...teachers.flatMap((teacher) => [
      ...caught(() => checkLength(train.maxLength, teacher.config)),
      ...(data && teacher.classifier
        ? caught(() =>
            checkLabels(teacher, data.task, [
              `kdx finetune --model ${teacher.ref} --task ${data.task.name} ... makes a teacher for this task`,
            ]),
          )
        : []),
      ...caught(() => checkVocabulary(teacher.tokenizer, teacher.config, teacher.ref)),
    ]),
  ];
  for (const stage of stages)
    for (const line of stageProblems(stage, input))
      problems.push(new KdxError('impossible-distillation', `stage ${stage.name}: ${line}`));
  return problems.filter(({ message }, i) => problems.findIndex((other) => other.message === message) === i);
}

function caught(check: () => void): KdxError[] {
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof KdxError)) throw error;
    return [error];
  }
}

function stageProblems(stage: StageRecipe, input: PreflightInput): string[] {
  const { tokenizer, data, corpusSize } = input;
  const shapes = shapesOf(input.student.config, input.teachers);
  const problems: string[] = [];
  if (stage.data === 'task' && !data) problems.push('it needs labelled examples: --data DIR --task NAME');
  if (stage.data === 'corpus' && corpusSize === undefined) problems.push('it needs plain text: --corpus FILE');
  if (stage.quantize && input.train.precision === 'float16')
    problems.push('float16 would round the quantized weights once more: leave out precision, or quantize');
  if (stage.ptp && data) problems.push(...ptpProblems(data.task, stage.ptp));
  const losses = activeLosses(stage).map((loss) => {
    const method = methodNamed(loss.method);
    const taps = method.taps(loss as never, shapes);
    const lacking = tapProblems(taps, input.teachers);
    const found = [
      ...headProblems(stage, method, taps),
      ...lacking,
      ...tokenProblems(stage, taps, input),
      // Sizes of inner values that cannot be read say nothing.
      ...(lacking.length > 0 ? [] : (method.problems?.(loss as never, shapes) ?? [])),
    ];
    if (method.predictsTokens && tokenizer.maskId === undefined) found.push('the tokenizer has no [MASK]');
    problems.push(...found.map((line) => `${loss.method}: ${line}`));
    return {
      name: loss.method,
      hidesTokens: method.predictsTokens,
      isIdle: matchesNothing(taps) && found.length === 0,
    };
  });
  const hiding = losses.filter(({ hidesTokens }) => hidesTokens).map(({ name }) => name);
  if (hiding.length > 1)
    problems.push(`${hiding.join(' and ')} would each hide other tokens of the same batch: leave one out`);
  if (losses.every(({ isIdle }) => isIdle))
    problems.push(
      `${losses.map(({ name }) => name).join(', ')}: these models have no layers to match, and the stage has no other ` +
        'loss: add one, such as label or kd',
    );
  return problems;
}

/** Whether a method that matches layers has found none. */
function matchesNothing(taps: Taps): boolean {
  return taps.firstTokens?.length === 0 && !taps.logits && !isInStep(taps);
}

/** Whether the student has the head that a loss reads. */
function headProblems({ data, ptp }: StageRecipe, { classifies }: Pick<Method, 'classifies'>, taps: Taps): string[] {
  if (!classifies) return [];
  if (data === 'corpus') return ['it reads labels or predictions of a task, a corpus has none'];
  if (ptp && readsTeacher(taps))
    return ["the student predicts the four labels of PTP here, not the teacher's: use label, or another stage"];
  return [];
}

function readsTeacher({ logits, firstTokens, outputs, drawn, vocabulary }: Taps): boolean {
  return logits || firstTokens !== undefined || outputs || drawn || vocabulary || false;
}

/** Whether the teachers have what a loss reads. */
function tapProblems(taps: Taps, teachers: readonly TeacherModel[]): string[] {
  if (!readsTeacher(taps)) return [];
  if (teachers.length === 0) return ['it needs a teacher (--teacher DIR)'];
  const { firstTokens = [] } = taps;
  const isUnknown = taps.firstTokens !== undefined && teachers.some(({ config }) => config.isForeign);
  const inner = isInStep(taps) || firstTokens.length > 0 || isUnknown;
  const problems: string[] = [];
  if (inner && teachers.length > 1)
    problems.push(`it reads inner values, which ${teachers.length} teachers do not have in common: give one`);
  for (const { ref, checkpoint, classifier } of teachers) {
    if (inner && !checkpoint) {
      const lack =
        taps.drawn && !taps.vocabulary
          ? 'that reads token ids and has no entry for embeddings'
          : 'whose inner values cannot be read';
      problems.push(`${ref} is an ONNX file ${lack}: give the checkpoint folder`);
    }
    if (taps.vocabulary && checkpoint && !checkpoint.hasMaskedLmHead)
      problems.push(`${ref} has no masked-language-model head (cls.predictions.*)`);
    if (taps.logits && !classifier) problems.push(`${ref} has no classification head`);
  }
  return problems;
}

/** Whether models with different tokenizers can be compared: by what they say of a text, not of a token. */
function tokenProblems({ data }: StageRecipe, taps: Taps, { teachers, tokenizer }: PreflightInput): string[] {
  if (!readsTeacher(taps) || (!isInStep(taps) && data === 'task')) return [];
  return teachers
    .filter((teacher) => ownTokens(teacher, tokenizer))
    .map(({ ref }) => `it compares models token by token, and ${ref} has another tokenizer than the student: use kd`);
}

/** What will be done. The input must be free of problems. */
export function planOf(input: PreflightInput): Plan {
  const { student, teachers, stages } = input;
  const { config } = student;
  const last = stages.at(-1) as StageRecipe;
  return {
    student: {
      layers: physicalLayers(config),
      depth: config.layerPlan.length,
      hidden: config.hiddenSize,
      parameters: parameterCount(studentParameters(config, stageHead(last, config.labels.length))),
      from: student.origin,
    },
    teachers: teachers.map((teacher) => ({
      ref: teacher.ref,
      layers: teacher.config.layers,
      hidden: teacher.config.hiddenSize,
      ownTokens: ownTokens(teacher, input.tokenizer),
    })),
    stages: stages.map((stage, index) => plannedStage(stage, index, input)),
    machineBytes: totalmem(),
    threads: availableParallelism(),
  };
}

function plannedStage(stage: StageRecipe, index: number, input: PreflightInput): PlannedStage {
  const { teachers, data, corpusSize = 0 } = input;
  const shapes = shapesOf(input.student.config, input.teachers);
  const train = stageTrain(input.train, stage, index);
  const examples = stage.data === 'corpus' ? corpusSize : (data?.train.length ?? 0);
  const taps = activeLosses(stage).map((loss) => methodNamed(loss.method).taps(loss as never, shapes));
  const cached = [...new Set([...taps.flatMap(cachedTaps), ...(stage.ptp ? (['logits'] as const) : [])])];
  const widthOf = (taps: readonly CachedTap[]) =>
    teachers.reduce((sum, teacher) => sum + taps.reduce((n, tap) => n + tapWidth(tap, teacher), 0), 0);
  // Pretraining on what the teacher makes of each example asks it about the development examples too.
  const devNumbers = stage.ptp ? (data?.dev.length ?? 0) * widthOf(['logits']) : 0;
  const objective = stageObjective(stage, shapes, teachers, train);
  const bucket = { rows: train.batch, length: train.maxLength };
  const { resident, peak } = stepMemory(
    buildStep(objective, bucket, { ...stepOptions(trainOptions(train)), mode: 'update' }),
  );
  return {
    name: stage.name,
    data: stage.data,
    losses: activeLosses(stage).map(({ method, weight }) => ({ method, weight })),
    examples,
    epochs: train.epochs,
    steps: stageSteps(stage, train, examples),
    learningRate: train.lr,
    teacherInStep: taps.some(isInStep),
    cached,
    cacheBytes: 4 * (examples * widthOf(cached) + devNumbers),
    memoryBytes: resident + peak,
  };
}
