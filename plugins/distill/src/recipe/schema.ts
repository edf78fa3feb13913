/** Recipes of distillation: a student, and a list of stages with their losses. Unknown keys are errors. */
import { z } from 'zod';
import { stageTrainSchema, trainSchema, type JsonObject } from 'kdx/recipe';
import { methods, type MethodName } from '../methods/index.ts';
import { ptpSchema } from '../ptp.ts';
import { roundingSchema } from '../rounding.ts';
import { studentSchema } from './student-schema.ts';

/** One loss of a stage: the options of a method, and its weight in the sum. */
const losses = Object.entries(methods).map(([name, { options }]) =>
  z.strictObject({ method: z.literal(name as MethodName), weight: z.number().min(0).default(1), ...options.shape }),
);

export type LossRecipe = { readonly method: MethodName; readonly weight: number };

const lossSchema = z.discriminatedUnion(
  'method',
  losses as [(typeof losses)[number]],
) as unknown as z.ZodType<LossRecipe>;

export const stageSchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]*$/, 'expected lower-case letters, digits and hyphens'),
  /** `task`: the labelled examples. `corpus`: the lines of --corpus. */
  data: z.enum(['task', 'corpus']).default('task'),
  /** Train on what the teacher makes of each example, with a head of four classes (Pea-KD), not on the task's labels. */
  ptp: ptpSchema.optional(),
  losses: z.array(lossSchema).nonempty(),
  /** Train on weights as a scheme of `kdx export --quantize` rounds them (quantization-aware). */
  quantize: roundingSchema.optional(),
  /** `best`: the parameters that did best on the development examples. `last`: those at the end, without measuring. */
  keep: z.enum(['best', 'last']).default('best'),
  /** What differs from the recipe's `train`. */
  train: stageTrainSchema.prefault({}),
});

export type StageRecipe = z.infer<typeof stageSchema>;

/** Options of a run's training. */
const runTrainSchema = trainSchema.extend({
  /** Compute inner values of the student's layers again in the backward pass, to the same bits: less memory, more time. */
  recompute: z.boolean().default(false),
  /** What keeps its values: the tables of words, positions and token types, two thirds of a small model. */
  frozen: z.enum(['nothing', 'embeddings']).default('nothing'),
  /** Of the operands of matrix products; everything else is float32. */
  precision: z.enum(['float32', 'float16']).default('float32'),
});

export type TrainRecipe = z.infer<typeof runTrainSchema>;

export const distillSchema = z
  .strictObject({
    /** The named recipe that this one was made from. */
    method: z.string().default('kd'),
    /** Absent where the student is a checkpoint of its own. */
    student: studentSchema.optional(),
    stages: z.array(stageSchema).nonempty(),
    train: runTrainSchema.prefault({}),
  })
  .superRefine(({ stages }, context) => {
    const complain = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message });
    stages.forEach(({ name, losses, ptp, data, keep }, i) => {
      if (stages.some((other, j) => j < i && other.name === name)) complain(['stages', i], `a second stage ${name}`);
      losses.forEach(({ method }, j) => {
        if (losses.some((other, k) => k < j && other.method === method))
          complain(['stages', i, 'losses', j], `a second loss ${method} in stage ${name}`);
      });
      if (losses.every(({ weight }) => weight === 0)) complain(['stages', i, 'losses'], 'every weight is 0');
      if (ptp && data === 'corpus') complain(['stages', i, 'ptp'], 'a corpus has no labels');
      if (ptp && i === stages.length - 1)
        complain(['stages', i, 'ptp'], 'the last stage has to train for the labels of the task');
      if (keep === 'best' && data === 'corpus') complain(['stages', i, 'keep'], 'expected last for a corpus');
    });
  });

export type DistillRecipe = z.infer<typeof distillSchema>;

/** A finetune has only the trainer's options. */
export const finetuneSchema = z.strictObject({ train: runTrainSchema.prefault({}) });

/** A resolved recipe of an earlier version, with the defaults of options that it did not have; as it is if it does not fit. */
export function withDefaults(schema: z.ZodType, recipe: JsonObject): JsonObject {
  const { success, data } = schema.safeParse(recipe);
  return success ? (data as JsonObject) : recipe;
}
