/** Masked language modelling (Devlin et al. 2019): the student predicts tokens that were hidden from it. */
import { z } from 'zod';
import type { Value } from 'kdx/ops';
import { drawnRows, maskedCrossEntropy, maskedTokens } from '../masked-tokens.ts';
import { drawMasking, maskingSchema } from '../masking.ts';
import { defineMethod } from './method.ts';

const options = z.strictObject({ masking: maskingSchema.prefault({}) });

export const mlm = defineMethod({
  name: 'mlm',
  summary: 'masked tokens, without a teacher',
  source: 'Devlin et al., arXiv 1810.04805, section 3.1, task 1',
  options,
  predictsTokens: true,
  taps: () => ({}),
  problems: ({ masking }) =>
    masking.probability === 0 ? ['masking.probability: expected more than 0, no token would be predicted'] : [],
  draws: ({ masking }, batch) => drawMasking(masking, batch),
  loss(context, { masking }) {
    const { g, inputs, student } = context;
    const masked = maskedTokens(context, masking);
    const { hiddenStates } = student.forward({ ...inputs, inputIds: masked.inputIds });
    const logits = student.vocabulary(drawnRows(g, hiddenStates.at(-1) as Value, masked));
    return { loss: maskedCrossEntropy(g, logits, masked), metrics: {} };
  },
});
