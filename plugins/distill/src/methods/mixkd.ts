/**
 * MixKD (Liang et al. 2021): pairs of examples are interpolated at their word embeddings, in the student and in the
 * teacher with the same pairs and shares; the student learns the teacher's answer to the mix and the mixed labels:
 * L = studentMix·L_SM + teacherMix·L_TMKD + original·d(f_T(x), f_S(x)). The loss on the labels of the plain examples is
 * the method `label` beside it.
 */
import { z } from 'zod';
import { logitError, logSoftmax, softDivergence, squaredError, weightedMean } from 'kdx/nn';
import type { GraphBuilder, Value } from 'kdx/ops';
import { defineMethod, type MethodContext } from './method.ts';
import { drawPairs } from './mixkd-draws.ts';
import { mixture, type Mixture } from './mixkd-mixture.ts';

const weight = z.number().min(0);

/**
 * Of the paper only the outline was at hand: pairs of training examples mixed at their word embeddings, the teacher asked
 * on the mix, the terms L_SM and L_TMKD. "Ours" is a choice of kdx; "not found" is one that the paper makes and that
 * could not be read.
 */
const options = z.strictObject({
  /** Shares λ are drawn from Beta(alpha, alpha); 0: λ = 1, no mixing. Family assumed, value not found. */
  alpha: z.number().min(0).default(0.4),
  /** `binary`: λ is 0 or 1, a control without interpolation at the same cost. Ours. */
  lambdas: z.enum(['beta', 'binary']).default('beta'),
  /** A λ for each pair, or one for all of a batch, which raises the variance of the step. Not found. */
  lambdaPer: z.enum(['pair', 'batch']).default('pair'),
  /** Takes max(λ, 1-λ). Without effect in expectation, as both members are treated alike. Not found. */
  lambdaMax: z.boolean().default(false),
  /** Pairs within a batch: a random permutation, or a rotation of the shuffled batch, without self-pairs. Not found. */
  pairing: z.enum(['permutation', 'rotation']).default('permutation'),
  /** Mixed samples for each example: 2 draws two pairs for each, 0.5 mixes a random half. Not found. */
  mixRatio: z.number().positive().default(1),
  /**
   * A position where only one member has a token: `embed` mixes it with the embedding of the padding (as EmbedMix
   * does), `zero` with a zero vector, `keep` leaves it unscaled. Not found. The mask is the OR of both.
   */
  pad: z.enum(['embed', 'zero', 'keep']).default('embed'),
  /** Weight of L_SM, cross-entropy (regression: squared error) to the mixed labels. Value not found. */
  studentMix: weight.default(1),
  /** Weight of L_TMKD, distance to the teacher's answer to the mix. Value not found. */
  teacherMix: weight.default(1),
  /** Weight of the distance to the teacher on the plain examples, which a reading of the abstract allows. Ours. */
  original: weight.default(0),
  /**
   * `teacher`: the teacher is asked on the mix, as published. `interpolated`: λ·f_T(x_i) + (1-λ)·f_T(x_j), logits that
   * can be computed once; an ablation, ours.
   */
  target: z.enum(['teacher', 'interpolated']).default('teacher'),
  /**
   * `mse`: of logits, mean over examples and classes. `kl`: T²·KL(teacher/T || student/T), mean over examples; for a
   * large T half of the mse of centred logits, so weights do not carry over. Not found.
   */
  distance: z.enum(['mse', 'kl']).default('mse'),
  /** T of `kl`. Ours. */
  temperature: z.number().positive().default(2),
});

export type MixkdOptions = z.infer<typeof options>;

export const mixkd = defineMethod({
  name: 'mixkd',
  summary: "the teacher's answers to interpolated pairs of examples, and their mixed labels",
  source: 'Liang et al. 2021, MixKD (arXiv 2011.00593)',
  options,
  classifies: true,
  taps: (given) => ({
    drawn: asksTeacher(given),
    logits: given.original > 0 || (given.teacherMix > 0 && given.target === 'interpolated'),
  }),
  problems: (given, { student, teacher, regression }) => {
    const found: string[] = [];
    if (!mixes(given) && given.original === 0)
      found.push('studentMix, teacherMix and original are all 0: set one of them above 0');
    if (!teacher && (given.teacherMix > 0 || given.original > 0)) found.push('needs a teacher');
    if (regression && given.distance === 'kl')
      found.push('distance kl is always 0 for the single output of a regression: choose distance mse');
    if (asksTeacher(given) && teacher && teacher.vocabSize !== student.vocabSize)
      found.push(
        `a mix of token ids goes through both models, but the teacher has ${teacher.vocabSize} tokens and the student ` +
          `${student.vocabSize}: choose target interpolated, or a student with the teacher's tokenizer`,
      );
    return found;
  },
  draws: (given, batch) => (mixes(given) ? drawPairs(given, batch) : {}),
  loss(context, given) {
    const { g } = context;
    const terms: Value[] = [];
    const metrics: Record<string, Value> = {};
    if (mixes(given)) {
      const mix = mixture(context, given.mixRatio, given.pad);
      const { logits } = context.student.forward(mix.inputs);
      if (given.studentMix > 0) {
        const { loss, floor } = labelLoss(context, mix, logits);
        terms.push(g.scale(loss, given.studentMix));
        metrics.student_mix_loss = loss;
        metrics.student_mix_excess = g.sub(loss, floor);
      }
      if (given.teacherMix > 0) {
        const targets = asksTeacher(given)
          ? [context.teacher.forward(mix.inputs).logits]
          : context.teacher.logits.map((plain) => interpolated(g, mix, plain));
        const loss = teacherDistance(g, given, logits, targets, mix.weights);
        terms.push(g.scale(loss, given.teacherMix));
        metrics.teacher_mix_loss = loss;
      }
    }
    if (given.original > 0) {
      const { student, teacher, weights } = context;
      const loss = teacherDistance(g, given, student.outputs.logits, teacher.logits, weights);
      terms.push(g.scale(loss, given.original));
      metrics.original_loss = loss;
    }
    return { loss: terms.reduce((sum, term) => g.add(sum, term)), metrics };
  },
});

function mixes({ studentMix, teacherMix }: MixkdOptions): boolean {
  return studentMix > 0 || teacherMix > 0;
}

function asksTeacher({ teacherMix, target }: MixkdOptions): boolean {
  return teacherMix > 0 && target === 'teacher';
}

/**
 * L_SM, and the value below which it cannot fall: the mean entropy of (λ, 1-λ) over pairs with different labels. Of
 * cross-entropies the loss is λ·CE(y_i) + (1-λ)·CE(y_j); the squared error has the target λ·y_i + (1-λ)·y_j.
 */
function labelLoss({ g, labels, regression }: MethodContext, mix: Mixture, logits: Value) {
  if (regression)
    return { loss: squaredError(g, logits, interpolated(g, mix, labels), mix.weights), floor: g.scalar(0) };
  const [first, second] = mix.members(labels);
  const logs = logSoftmax(g, logits);
  const logOf = (classes: Value) => {
    const picked = g.op('GatherElements', [logs, g.op('Unsqueeze', [classes, g.ints([1])])], { axis: 1 });
    return g.op('Squeeze', [picked, g.ints([1])]);
  };
  const [lambda, rest] = mix.shares;
  const expected = g.add(g.mul(lambda, logOf(first)), g.mul(rest, logOf(second)));
  const differ = g.op('Cast', [g.op('Not', [g.op('Equal', [first, second])])], { to: g.float });
  const entropy = g.op('Neg', [g.add(timesLog(g, lambda), timesLog(g, rest))]);
  return {
    loss: weightedMean(g, g.op('Neg', [expected]), mix.weights),
    floor: weightedMean(g, g.mul(differ, entropy), mix.weights),
  };
}

/** p·log p, 0 at 0. */
function timesLog(g: GraphBuilder, p: Value): Value {
  return g.mul(p, g.op('Log', [g.op('Max', [p, g.scalar(1e-30)])]));
}

/** λ·x_i + (1-λ)·x_j of a value of the plain batch, [rows] or [rows, n]. */
function interpolated(g: GraphBuilder, mix: Mixture, x: Value): Value {
  const share = (value: Value) => (x.shape.length === 1 ? value : g.op('Unsqueeze', [value, g.ints([1])]));
  const [first, second] = mix.members(x);
  const [lambda, rest] = mix.shares;
  return g.add(g.mul(share(lambda), first), g.mul(share(rest), second));
}

/** The distance d to the teachers: the mse to their mean logits, or kl to their mean softened probabilities. */
function teacherDistance(
  g: GraphBuilder,
  { distance, temperature }: MixkdOptions,
  student: Value,
  teachers: readonly Value[],
  weights: Value,
): Value {
  if (distance === 'kl') return softDivergence(g, student, teachers, weights, { temperature, reduction: 'batchmean' });
  const sum = teachers.reduce((total, next) => g.add(total, next));
  return logitError(g, student, g.scale(sum, 1 / teachers.length), weights);
}
