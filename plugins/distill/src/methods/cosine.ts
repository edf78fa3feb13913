/** The cosine term of DistilBERT (Sanh et al. 2019): mean over all tokens of 1 - cos(h_S, h_T), last hidden states. */
import { z } from 'zod';
import type { Value } from 'kdx/ops';
import { cosineDistance } from '../cosine-distance.ts';
import { tokenWeights } from '../token-weights.ts';
import { defineMethod, type Model } from './method.ts';

export const cosine = defineMethod({
  name: 'cosine',
  summary: "last hidden states point where the teacher's do",
  source: 'Sanh et al. 2019, arXiv 1910.01108, L_cos',
  options: z.strictObject({}),

  taps: () => ({ outputs: true }),

  problems: (_, { student, teacher }) => {
    if (!teacher) return [];
    if (student.hiddenSize === teacher.hiddenSize) return [];
    return [
      `hidden states are compared as they are, but the student has width ${student.hiddenSize} and the teacher ` +
        `${teacher.hiddenSize}: give the student hidden=${teacher.hiddenSize}`,
    ];
  },

  loss: (context) => {
    const { g, student, teacher } = context;
    const last = (model: Model) => model.outputs.hiddenStates.at(-1) as Value;
    return { loss: cosineDistance(g, last(student), last(teacher), tokenWeights(context)), metrics: {} };
  },
});
