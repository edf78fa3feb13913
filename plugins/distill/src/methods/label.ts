/** Hard labels: cross-entropy, or squared error for a regression. No teacher is needed. */
import { z } from 'zod';
import { crossEntropy, squaredError } from 'kdx/nn';
import { defineMethod } from './method.ts';

export const label = defineMethod({
  name: 'label',
  summary: 'the labels of the examples: cross-entropy, or squared error for a regression',
  source: 'the L_CE of every paper',
  options: z.strictObject({}),
  classifies: true,
  taps: () => ({}),
  loss({ g, student, labels, weights, regression }) {
    const { logits } = student.outputs;
    const loss = regression ? squaredError(g, logits, labels, weights) : crossEntropy(g, logits, labels, weights);
    return { loss, metrics: {} };
  },
});
