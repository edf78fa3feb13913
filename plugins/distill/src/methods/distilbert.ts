/**
 * The triple loss of DistilBERT (Sanh et al. 2019) on masked inputs: 5·L_ce + 2·L_mlm + 1·L_cos.
 * L_ce = T²·KL(teacher/T || student/T) over the vocabulary, L_cos = 1 - cos of the last hidden states, both means over
 * tokens; L_mlm is the cross-entropy of the masked tokens. Neither model sees token types: DistilBERT has none.
 */
import { z } from 'zod';
import { tensorOf } from 'kdx/graph';
import { softDivergence, type BertInputs } from 'kdx/nn';
import type { Value } from 'kdx/ops';
import { cosineDistance } from '../cosine-distance.ts';
import { drawnMean, drawnRows, maskedCrossEntropy, maskedTokens, tokenRows } from '../masked-tokens.ts';
import { drawMasking, maskingSchema } from '../masking.ts';
import { tokenWeights } from '../token-weights.ts';
import { defineMethod, type MethodContext, type Model } from './method.ts';

const weight = z.number().min(0);

/** Weights: the authors (huggingface/transformers issue 2013); a term of weight 0 is not computed. */
const options = z.strictObject({
  alphaCe: weight.default(5),
  alphaMlm: weight.default(2),
  alphaCos: weight.default(1),
  temperature: z.number().positive().default(2),
  /** Tokens of L_ce: `all` but padding, or those that were drawn (less memory: logits are tokens times vocabulary). */
  tokens: z.enum(['all', 'masked']).default('all'),
  masking: maskingSchema.prefault({}),
});

export type DistilbertOptions = z.infer<typeof options>;

export const distilbert = defineMethod({
  name: 'distilbert',
  summary: "the teacher's masked-token predictions, the masked tokens and the direction of the last hidden states",
  source: 'Sanh et al., arXiv 1910.01108, section 3; weights and tokens: its code',
  options,
  predictsTokens: true,
  taps: (given) => (asksTeacher(given) ? { drawn: true, vocabulary: given.alphaCe > 0 } : {}),
  problems: (given, { student, teacher }) => {
    const found: string[] = [];
    const { alphaCe, alphaMlm, alphaCos, tokens, masking } = given;
    if (alphaMlm === 0 && !asksTeacher(given))
      found.push('alphaCe, alphaMlm and alphaCos are all 0: set one of them above 0');
    if (masking.probability === 0 && (alphaMlm > 0 || (alphaCe > 0 && tokens === 'masked')))
      found.push('masking.probability: expected more than 0, unless alphaMlm is 0 and tokens is all');
    if (!asksTeacher(given)) return found;
    if (!teacher) return [...found, 'needs a teacher, unless alphaCe and alphaCos are 0'];
    if (teacher.vocabSize !== student.vocabSize)
      found.push(
        `both models read the same token ids, but the teacher has ${teacher.vocabSize} tokens and the student ` +
          `${student.vocabSize}: take a student with the teacher's tokenizer`,
      );
    if (alphaCos > 0 && teacher.hiddenSize !== student.hiddenSize)
      found.push(
        `L_cos needs equal widths, the teacher has ${teacher.hiddenSize} and the student ${student.hiddenSize}: ` +
          `set alphaCos to 0 or hidden to ${teacher.hiddenSize}`,
      );
    return found;
  },
  draws: ({ masking }, batch) => drawMasking(masking, batch),
  loss(context, { alphaCe, alphaMlm, alphaCos, temperature, tokens, masking }) {
    const { g } = context;
    const masked = maskedTokens(context, masking);
    const inputs = { ...context.inputs, inputIds: masked.inputIds, tokenTypeIds: noTokenTypes(context) };
    const weights = tokenWeights(context);
    const student = lastHidden(context.student, inputs);
    const drawnLogits = once(() => context.student.vocabulary(drawnRows(g, student, masked)));
    const teacher = once(() => lastHidden(context.teacher, inputs));

    const soften = (ours: Value, theirs: Value, of: Value) =>
      softDivergence(g, ours, [theirs], of, { temperature, reduction: 'batchmean' });
    const ce = () => {
      if (tokens === 'masked') {
        const theirs = context.teacher.vocabulary(drawnRows(g, teacher(), masked));
        return drawnMean(g, masked, (of) => soften(drawnLogits(), theirs, of));
      }
      const theirs = context.teacher.vocabulary(tokenRows(g, teacher()));
      return soften(context.student.vocabulary(tokenRows(g, student)), theirs, g.reshape(weights, [-1]));
    };
    const mlm = () => maskedCrossEntropy(g, drawnLogits(), masked);
    const cos = () => cosineDistance(g, student, teacher(), weights);

    const terms = [
      { name: 'ce_loss', alpha: alphaCe, build: ce },
      { name: 'mlm_loss', alpha: alphaMlm, build: mlm },
      { name: 'cos_loss', alpha: alphaCos, build: cos },
    ].flatMap(({ name, alpha, build }) => (alpha > 0 ? [{ name, alpha, value: build() }] : []));
    return {
      loss: terms.map(({ alpha, value }) => g.scale(value, alpha)).reduce((sum, term) => g.add(sum, term)),
      metrics: Object.fromEntries(terms.map(({ name, value }) => [name, value])),
    };
  },
});

function asksTeacher({ alphaCe, alphaCos }: DistilbertOptions): boolean {
  return alphaCe > 0 || alphaCos > 0;
}

function lastHidden(model: Model, inputs: BertInputs): Value {
  return model.forward(inputs).hiddenStates.at(-1) as Value;
}

/** Type 0 everywhere. */
function noTokenTypes({ g, bucket }: MethodContext): Value {
  return g.op('ConstantOfShape', [g.ints([bucket.rows, bucket.length])], { value: tensorOf('int64', [1], [0]) });
}

/** Makes a value when it is first asked for. */
function once(make: () => Value): () => Value {
  let made: Value | undefined;
  return () => (made ??= make());
}
