/**
 * The patience term of Patient KD (Sun et al. 2019), also of Pea-KD: squared distances between the first token's
 * hidden states of student and teacher, L_PT = Σ_j ‖ĥ_S[j] - ĥ_T[I(j)]‖² over M pairs of layers, ĥ = h/‖h‖.
 * Labels and logits are other methods' terms.
 */
import { z } from 'zod';
import { firstToken, weightedMean } from 'kdx/nn';
import type { Value } from 'kdx/ops';
import { patienceMap, patienceMapProblem } from '../layer-map.ts';
import { unitVectors } from '../unit-vectors.ts';
import { defineMethod } from './method.ts';

const layer = z.number().int().min(1);

const options = z.strictObject({
  /** Layers compared: `skip`, `last`, or pairs [student, teacher] counted from 1. */
  map: z
    .union([z.enum(['skip', 'last']), z.array(z.tuple([layer, layer])).min(1)], {
      error: 'expected skip, last or pairs [[student, teacher], ...] of layers counted from 1',
    })
    .default('skip'),
  /** Compare directions only. */
  normalize: z.boolean().default(true),
  /**
   * Both are averaged over examples. `mean`: over pairs and the width too, which published weights of the term
   * (10 to 1000) are for. `sum`: the paper's formula, M·width times as large.
   */
  reduction: z.enum(['mean', 'sum']).default('mean'),
});

export const patience = defineMethod({
  name: 'patience',
  summary: "first token's hidden states follow the teacher's, layer by layer",
  source: 'Sun et al. 2019, arXiv 1908.09355, L_PT',
  options,

  taps: ({ map }, { student, teacher }) => {
    const isMapped = teacher && !patienceMapProblem(map, student.layers, teacher.layers);
    const pairs = isMapped ? patienceMap(map, student.layers, teacher.layers) : [];
    return { firstTokens: [...new Set(pairs.map(([, layer]) => layer))] };
  },

  problems: ({ map }, { student, teacher }) => {
    if (!teacher) return [];
    const problems: string[] = [];
    if (student.hiddenSize !== teacher.hiddenSize)
      problems.push(
        `hidden states are compared as they are, but the student has width ${student.hiddenSize} and the teacher ` +
          `${teacher.hiddenSize}: give the student hidden=${teacher.hiddenSize}`,
      );
    const unmapped = patienceMapProblem(map, student.layers, teacher.layers);
    if (unmapped) problems.push(unmapped);
    return problems;
  },

  loss: ({ g, weights, student, teacher }, { map, normalize, reduction }) => {
    const pairs = patienceMap(map, student.config.layers, teacher.config.layers);
    const state = (hidden: Value) => (normalize ? unitVectors(g, hidden) : hidden);
    const distances = pairs.map(([own, taught]) => {
      const followed = state(firstToken(g, student.outputs.hiddenStates[own] as Value));
      const difference = g.sub(followed, state(teacher.firstToken(taught)));
      return g.op('ReduceSumSquare', [difference], { axes: [1], keepdims: 0 });
    });
    const [first, ...others] = distances;
    if (!first) return { loss: g.scalar(0), metrics: {} };
    const sum = others.reduce((total, distance) => g.add(total, distance), first);
    const divisor = reduction === 'mean' ? pairs.length * student.config.hiddenSize : 1;
    return { loss: g.scale(weightedMean(g, sum, weights), 1 / divisor), metrics: {} };
  },
});
