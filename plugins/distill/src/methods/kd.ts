/**
 * Knowledge distillation (Hinton, Vinyals & Dean 2015): T²·KL(teacher/T || student/T). Several teachers give the mean of
 * their softened probabilities. A regression has no distribution to soften: there it is the squared error to the
 * teachers' mean output.
 */
import { z } from 'zod';
import { logitError, softDivergence } from 'kdx/nn';
import { defineMethod } from './method.ts';

const options = z.strictObject({
  /** Softens both sides of the divergence. */
  temperature: z.number().positive().default(2),
  /** Divides the divergence by the examples (`batchmean`), or by examples times classes (`mean`, the code of PKD). */
  reduction: z.enum(['batchmean', 'mean']).default('batchmean'),
});

export const kd = defineMethod({
  name: 'kd',
  summary: "the teacher's softened probabilities",
  source: 'Hinton et al., arXiv 1503.02531, section 2; reductions: Patient KD, arXiv 1908.09355, eq. 5 and its code',
  options,
  classifies: true,
  taps: () => ({ logits: true }),
  loss({ g, student, teacher, weights, regression }, { temperature, reduction }) {
    const { logits } = student.outputs;
    const mean = () =>
      g.scale(
        teacher.logits.reduce((sum, next) => g.add(sum, next)),
        1 / teacher.logits.length,
      );
    const loss = regression
      ? logitError(g, logits, mean(), weights)
      : softDivergence(g, logits, teacher.logits, weights, { temperature, reduction });
    return { loss, metrics: {} };
  },
});
