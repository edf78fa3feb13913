/**
 * Prediction distillation of TinyBERT (Jiao et al. 2020, eq. 10): cross-entropy of the student's softened logits to
 * the teacher's, -Σ softmax(z_T/T)·log softmax(z_S/T), without a factor T². Several teachers: their mean distribution.
 * A regression learns from the labels, as in the published code.
 */
import { z } from 'zod';
import { logSoftmax, softenedTargets, squaredError, weightedMean } from 'kdx/nn';
import { defineMethod } from './method.ts';

const options = z.strictObject({
  temperature: z.number().positive().default(1),
  /** Divides the sum by examples times classes (`mean`, as published), or by the examples (`batchmean`). */
  reduction: z.enum(['mean', 'batchmean']).default('mean'),
});

export const prediction = defineMethod({
  name: 'prediction',
  summary: "softened predictions follow the teacher's",
  source: 'Jiao et al. 2020, arXiv 1909.10351, eq. 10',
  options,
  classifies: true,

  taps: (_, { regression }) => (regression ? {} : { logits: true }),

  problems: (_, { student, teacher, regression }) => {
    if (regression || !teacher) return [];
    const [own, taught] = [student.labels.length, teacher.labels.length];
    return own === taught ? [] : [`the student has ${own} labels, the teacher ${taught}: they must be the same`];
  },

  loss: (context, { temperature, reduction }) => {
    const { g, labels, weights } = context;
    const { logits } = context.student.outputs;
    if (context.regression) return { loss: squaredError(g, logits, labels, weights), metrics: {} };
    const { teacher } = context;
    const targets = g.op('Exp', [softenedTargets(g, teacher.logits, temperature)]);
    const terms = g.mul(targets, logSoftmax(g, g.scale(logits, 1 / temperature)));
    const divisor = reduction === 'mean' ? (logits.shape[1] as number) : 1;
    return { loss: g.scale(weightedMean(g, g.sum(terms, [1]), weights), -1 / divisor), metrics: {} };
  },
});
