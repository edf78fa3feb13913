/**
 * Knowledge distillation (Hinton, Vinyals & Dean 2015): L = (1-α)·CE + α·T²·KL(teacher/T || student/T). A regression
 * has no distribution to soften: there the second term is the squared error to the teacher's output.
 */
import { crossEntropy, distillationLoss, logitError, squaredError, type Reduction } from 'kdx/nn';
import { defineMethod } from './method.ts';

export interface KdOptions {
  readonly temperature: number;
  readonly alpha: number;
  readonly reduction: Reduction;
  readonly regression: boolean;
}

export const kd = defineMethod<KdOptions>({
  name: 'kd',
  loss({ g, labels, weights }, student, teacher, { alpha, regression, ...options }) {
    const hard = regression
      ? squaredError(g, student.logits, labels, weights)
      : crossEntropy(g, student.logits, labels, weights);
    const soft = regression
      ? logitError(g, student.logits, teacher.logits, weights)
      : distillationLoss(g, student.logits, teacher.logits, weights, options);
    return {
      loss: g.add(g.scale(hard, 1 - alpha), g.scale(soft, alpha)),
      metrics: { hard_loss: hard, soft_loss: soft },
    };
  },
});
