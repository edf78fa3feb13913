/**
 * AdamW (Loshchilov & Hutter 2019) as a graph. The moments are kept as plain decayed sums, M = m/(1-β1) and
 * V = v/(1-β2): two passes fewer over every parameter, and V stays clear of denormals.
 */
import type { GraphBuilder, Value } from '../ops/index.ts';

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled: p shrinks by lr·weightDecay in each step. */
  readonly weightDecay: number;
}

/** What changes from step to step, as float32 scalars fed to the graph. */
export interface AdamWScalars {
  /** lr·(1-β1)/(1-β1^t)/s with s = √((1-β2)/(1-β2^t)) */
  readonly stepSize: number;
  /** ε/s */
  readonly epsilon: number;
  /** 1 - lr·weightDecay */
  readonly shrink: number;
}

/** Scalars of step t = 1, 2, ... at learning rate lr, computed in float64. */
export function adamwScalars(options: AdamWOptions, step: number, learningRate: number): AdamWScalars {
  const { beta1, beta2 } = options;
  const scale = Math.sqrt((1 - beta2) / (1 - beta2 ** step));
  return {
    stepSize: (learningRate * (1 - beta1)) / (1 - beta1 ** step) / scale,
    epsilon: options.epsilon / scale,
    shrink: 1 - learningRate * options.weightDecay,
  };
}

export interface AdamWSlot {
  readonly parameter: Value;
  readonly moment1: Value;
  readonly moment2: Value;
}

/** One update: p ← shrink·p - stepSize·M/(√V + ε), M ← β1·M + g, V ← β2·V + g². */
export function adamwUpdate(
  g: GraphBuilder,
  options: AdamWOptions,
  scalars: { readonly stepSize: Value; readonly epsilon: Value; readonly shrink: Value },
  slot: AdamWSlot,
  gradient: Value,
  decayed: boolean,
): AdamWSlot {
  const moment1 = g.add(g.scale(slot.moment1, options.beta1), gradient);
  const moment2 = g.add(g.scale(slot.moment2, options.beta2), g.mul(gradient, gradient));
  const change = g.mul(g.div(moment1, g.add(g.op('Sqrt', [moment2]), scalars.epsilon)), scalars.stepSize);
  const kept = decayed ? g.mul(slot.parameter, scalars.shrink) : slot.parameter;
  return { parameter: g.sub(kept, change), moment1, moment2 };
}
