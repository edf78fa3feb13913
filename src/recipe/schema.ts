/** Recipes: every option of a run with its default. Unknown keys are errors. */
import { z } from 'zod';

const fraction = z.number().min(0).max(1);
const probability = z.number().min(0).lt(1);
const count = z.number().int().positive();

/** Probabilities of dropout that replace those of the model's config.json. */
const dropoutSchema = z.strictObject({
  hidden: probability.optional(),
  attention: probability.optional(),
  classifier: probability.optional(),
});

/** Options of the trainer. Defaults: those of BERT fine-tuning (Devlin et al. 2019, appendix A.3). */
export const trainSchema = z.strictObject({
  epochs: count.default(3),
  /** Examples per batch; a step takes `batch * accumulate` examples. */
  batch: count.default(32),
  accumulate: count.default(1),
  /** Peak learning rate, reached after the warm-up and then lowered linearly to 0. */
  lr: z.number().positive().default(5e-5),
  /** Part of all steps with a linearly rising learning rate. */
  warmup: fraction.default(0.1),
  /** Decoupled; not applied to biases and LayerNorm. */
  weightDecay: z.number().min(0).default(0.01),
  /** Largest global norm of the gradient; 0 switches clipping off. */
  clipNorm: z.number().min(0).default(1),
  betas: z.tuple([probability, probability]).default([0.9, 0.999]),
  eps: z.number().positive().default(1e-8),
  /** Tokens per sequence, with the special ones. */
  maxLength: z.number().int().min(3).default(128),
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(42),
  dropout: dropoutSchema.prefault({}),
  /** When the development set is evaluated and the best checkpoint chosen. */
  evaluate: z.enum(['epoch', 'end']).default('epoch'),
  /** Seconds between two saves of the state that --resume goes on from. */
  saveEvery: z.number().min(0).default(120),
});

/** Where a student's first weights come from. */
const initSchema = z
  .strictObject({
    /** Default: teacher when the student's layers have the teacher's shape, otherwise random. */
    from: z.enum(['teacher', 'pretrained', 'random']).optional(),
    /** The checkpoint to take from, with `from: pretrained`. */
    model: z.string().min(1).optional(),
    /** Layers of the source to take, counted from 0 as in tensor names; default: evenly spread over its depth. */
    layers: z.array(z.number().int().min(0)).nonempty().optional(),
  })
  .superRefine((init, context) => {
    const complain = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message });
    if (init.from === 'pretrained' && init.model === undefined) complain('model', 'needed with from: pretrained');
    if (init.from !== 'pretrained' && init.model !== undefined) complain('model', 'only used with from: pretrained');
    if (init.from === 'random' && init.layers) complain('layers', 'not used with from: random');
  });

/** The student's shape; what is not given is the teacher's. */
export const studentSchema = z
  .strictObject({
    layers: count,
    hidden: count.optional(),
    heads: count.optional(),
    intermediate: count.optional(),
    init: initSchema.prefault({}),
  })
  .superRefine((student, context) => {
    const complain = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    const { hidden, heads, layers, init } = student;
    if (hidden !== undefined && heads !== undefined && hidden % heads !== 0)
      complain(['heads'], `${heads} heads do not divide a hidden size of ${hidden}`);
    if (init.layers && init.layers.length !== layers)
      complain(
        ['init', 'layers'],
        `expected ${layers} numbers, one per layer of the student, found ${init.layers.length}`,
      );
  })
  .transform((student) => {
    const reshaped = [student.hidden, student.heads, student.intermediate].some((size) => size !== undefined);
    return { ...student, init: { ...student.init, from: student.init.from ?? (reshaped ? 'random' : 'teacher') } };
  });

/**
 * Knowledge distillation: L = (1-alpha) CE + alpha T^2 KL(teacher || student), with softened logits z/T.
 * alpha and the loss are those of Pea-KD and Patient KD (arXiv 2009.14822, 1908.09355: alpha 0.7, T 5 to 20 with the
 * divergence averaged over classes too); `batchmean` is the textbook form, for which a lower temperature is usual.
 */
export const distillSchema = z.strictObject({
  method: z.enum(['kd']).default('kd'),
  /** Absent where the student is a checkpoint of its own. */
  student: studentSchema.optional(),
  temperature: z.number().positive().default(2),
  alpha: fraction.default(0.7),
  /** Divides the divergence by the examples (`batchmean`), or by examples times classes (`mean`, as published). */
  reduction: z.enum(['batchmean', 'mean']).default('batchmean'),
  train: trainSchema.prefault({}),
});

/** A finetune has only the trainer's options. */
export const finetuneSchema = z.strictObject({ train: trainSchema.prefault({}) });

export type TrainRecipe = z.infer<typeof trainSchema>;
export type StudentRecipe = z.infer<typeof studentSchema>;
export type DistillRecipe = z.infer<typeof distillSchema>;
export type FinetuneRecipe = z.infer<typeof finetuneSchema>;
