/** Options of the trainer, which every recipe has. */
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

const fields = {
  epochs: count,
  /** Examples per batch; a step takes `batch * accumulate` examples. */
  batch: count,
  accumulate: count,
  /** Peak learning rate, reached after the warm-up. */
  lr: z.number().positive(),
  /** What follows the warm-up: the rate falls linearly to 0, or stays. */
  schedule: z.enum(['linear', 'constant']),
  /** Part of all steps with a linearly rising learning rate. */
  warmup: fraction,
  /** Decoupled; not applied to biases and LayerNorm. */
  weightDecay: z.number().min(0),
  /** Largest global norm of the gradient; 0 switches clipping off. */
  clipNorm: z.number().min(0),
  betas: z.tuple([probability, probability]),
  eps: z.number().positive(),
  /** Tokens per sequence, with the special ones. */
  maxLength: z.number().int().min(3),
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  /** When the development set is evaluated and the best checkpoint chosen. */
  evaluate: z.enum(['epoch', 'end']),
  /** Seconds between two saves of the state that --resume goes on from. */
  saveEvery: z.number().min(0),
};

/** Defaults: those of BERT fine-tuning (Devlin et al. 2019, appendix A.3). */
export const trainSchema = z.strictObject({
  epochs: fields.epochs.default(3),
  batch: fields.batch.default(32),
  accumulate: fields.accumulate.default(1),
  lr: fields.lr.default(5e-5),
  schedule: fields.schedule.default('linear'),
  warmup: fields.warmup.default(0.1),
  weightDecay: fields.weightDecay.default(0.01),
  clipNorm: fields.clipNorm.default(1),
  betas: fields.betas.default([0.9, 0.999]),
  eps: fields.eps.default(1e-8),
  maxLength: fields.maxLength.default(128),
  seed: fields.seed.default(42),
  dropout: dropoutSchema.prefault({}),
  evaluate: fields.evaluate.default('epoch'),
  saveEvery: fields.saveEvery.default(120),
});

const { seed: _seed, maxLength: _maxLength, saveEvery: _saveEvery, ...ofStage } = fields;

/** What a stage of a run may have of its own; the rest is the run's. */
export const stageTrainSchema = z.strictObject(ofStage).partial();

export type TrainRecipe = z.infer<typeof trainSchema>;
export type StageTrainRecipe = z.infer<typeof stageTrainSchema>;
