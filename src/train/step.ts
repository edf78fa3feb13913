/** One training step as one graph: forward, loss, gradients, clipping, AdamW; shapes fixed by the bucket. */
import { internal } from '../errors/index.ts';
import { gradientsRecomputing, withReaders } from '../autodiff/index.ts';
import { modelOf, withoutUnreadInputs, type DType, type Model } from '../graph/index.ts';
import {
  bertInputs,
  isDecayed,
  type BertInputs,
  type Dropout,
  type Parameter,
  type ParameterSource,
} from '../nn/index.ts';
import { GraphBuilder, isStatic, type Call, type Value } from '../ops/index.ts';
import { adamwUpdate, clipFactor, globalNorm, type AdamWOptions } from '../optim/index.ts';
import { withHalfProducts } from '../passes/index.ts';

/** Rows and padded length of a batch. */
export interface Bucket {
  readonly rows: number;
  readonly length: number;
}

/** What an objective builds its loss from. */
export interface StepContext {
  readonly g: GraphBuilder;
  readonly bucket: Bucket;
  readonly parameter: ParameterSource;
  readonly inputs: BertInputs;
  /** int64 class ids or float targets, [rows] */
  readonly labels: Value;
  /** 1 for examples, 0 for filler, [rows] */
  readonly weights: Value;
  readonly dropout: Dropout;
  /** A further input of the step, fed with each batch. */
  input(name: string, dtype: DType, shape: readonly number[]): Value;
}

/** Of the operands of matrix products in a step. */
export type Precision = 'float32' | 'float16';

/** What is trained and towards what. */
export interface Objective {
  /** Trained parameters. Those that the loss does not depend on are left alone: no update, no weight decay. */
  readonly parameters: readonly Parameter[];
  readonly regression: boolean;
  /** Those that the loss reads and that keep their values, with no gradient, no moments and no decay. Default: none. */
  readonly frozen?: (parameter: Parameter) => boolean;
  /**
   * What the loss reads in place of a parameter, if anything (its rounded values). The gradient with respect to it is
   * taken as that of the parameter: the straight-through estimator (Bengio et al. 2013, arXiv 1308.3432).
   */
  readonly inPlaceOf?: (g: GraphBuilder, parameter: Parameter, value: Value) => Value | undefined;
  /** A scalar loss, and further scalars to report. */
  loss(context: StepContext): { readonly loss: Value; readonly metrics?: Readonly<Record<string, Value>> };
}

export interface StepOptions {
  readonly adamw: AdamWOptions;
  /** Largest global gradient norm; Infinity switches clipping off. */
  readonly clipNorm: number;
  /**
   * `update`: gradients of this batch, then the optimizer. `accumulate`: add this batch's gradients to the sums.
   * `update-accumulated`: the same, then the optimizer on the mean over `batches` batches, sums back to 0.
   */
  readonly mode: 'update' | 'accumulate' | 'update-accumulated';
  readonly batches?: number;
  /** Compute the inner values of encoder layers again in the backward pass, to the same bits: less memory, more time. */
  readonly recompute?: boolean;
  /**
   * `float16`: matrix products on float16 operands; parameters, moments and all else stay float32. The step has the further
   * input `loss_scale`, a power of two, and leaves all state as it is when gradients overflow: its `gradient_norm` is not
   * finite then.
   */
  readonly precision?: Precision;
  readonly float?: 'float32' | 'float64';
}

/** A dropout mask to be drawn for each step: 1 with probability `keep`. */
export interface DropoutSite {
  readonly name: string;
  readonly keep: number;
  readonly count: number;
  readonly dims: readonly number[];
}

/** Names of the state tensors of a parameter, as inputs of the step; outputs have the prefix `next/`. */
export const slots = {
  moment1: (name: string) => `moment1/${name}`,
  moment2: (name: string) => `moment2/${name}`,
  sum: (name: string) => `sum/${name}`,
  next: (name: string) => `next/${name}`,
};

export interface Step {
  readonly model: Model;
  readonly dropout: readonly DropoutSite[];
  /** Parameters that the loss reaches. */
  readonly trained: readonly Parameter[];
  /** Inputs that are state (variables), each with an output of the same name after `next/` if the step writes it. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly metrics: readonly string[];
}

/** Masks as graph inputs, so that a seed gives the same masks on every device. */
function maskedDropout(g: GraphBuilder, sites: DropoutSite[]): Dropout {
  return {
    apply(x, probability) {
      if (probability === 0) return x;
      if (!isStatic(x.shape)) throw internal('dropout needs a static shape');
      const name = `dropout/${sites.length}`;
      const count = x.shape.reduce((n, dim) => n * dim, 1);
      sites.push({ name, keep: 1 - probability, count, dims: x.shape });
      const mask = g.op('Cast', [g.input(name, 'bool', x.shape)], { to: g.float });
      return g.mul(x, g.scale(mask, 1 / (1 - probability)));
    },
  };
}

/** The encoder layer that a call belongs to, by the scope in which layers are built. */
function layerOf({ outputs }: Call): string | undefined {
  return /^.*\blayer\.\d+(?=\/)/.exec(outputs[0]?.name ?? '')?.[0];
}

/** Builds the step of an objective for one bucket. */
export function buildStep(objective: Objective, bucket: Bucket, options: StepOptions): Step {
  const g = new GraphBuilder(options.float ?? 'float32');
  const { rows, length } = bucket;
  const parameters = new Map<string, { parameter: Parameter; value: Value; read: Value }>();
  for (const parameter of objective.parameters) {
    const value = g.input(parameter.name, g.float, parameter.shape);
    const read = g.scope('parameters', () => objective.inPlaceOf?.(g, parameter, value) ?? value);
    parameters.set(parameter.name, { parameter, value, read });
  }
  const sites: DropoutSite[] = [];
  const { loss, metrics = {} } = g.scope('forward', () =>
    objective.loss({
      g,
      bucket,
      parameter: (name) => parameters.get(name)?.read ?? missing(name),
      inputs: bertInputs(g, [rows, length]),
      labels: g.input('labels', objective.regression ? g.float : 'int64', [rows]),
      weights: g.input('weights', g.float, [rows]),
      dropout: maskedDropout(g, sites),
      input: (name, dtype, shape) => g.input(name, dtype, shape),
    }),
  );
  const all = [...parameters.values()];
  const trained = all.filter(({ parameter }) => !objective.frozen?.(parameter));
  const lossScale = options.precision === 'float16' ? g.input('loss_scale', g.float, []) : undefined;
  const { gradients, segments } = g.scope('backward', () =>
    gradientsRecomputing(
      g,
      lossScale ? g.mul(loss, lossScale) : loss,
      trained.map(({ read }) => read),
      options.recompute ? layerOf : () => undefined,
    ),
  );
  const reached = trained.flatMap((entry, i) => {
    const gradient = gradients[i];
    return gradient ? [{ ...entry, gradient }] : [];
  });
  if (reached.length === 0) throw internal('the loss depends on no parameter');

  g.output('loss', loss);
  for (const [name, value] of Object.entries(metrics)) g.output(name, value);
  const writes = g.scope('optimizer', () =>
    options.mode === 'accumulate' ? accumulate(g, reached) : update(g, reached, options, lossScale),
  );
  const plain = withoutUnreadInputs(g.build('step'));
  const read = options.recompute ? withReaders(plain, segments) : plain;
  const graph = lossScale ? withHalfProducts(read) : read;
  const known = new Set(graph.inputs.map((input) => input.name));
  const reads = [
    ...reached.map(({ parameter }) => parameter.name),
    ...all.filter((entry) => !reached.some((r) => r.parameter === entry.parameter)).map((e) => e.parameter.name),
    ...[...known].filter((name) => /^(moment1|moment2|sum)\//.test(name)),
  ];
  return {
    model: modelOf(graph),
    dropout: sites,
    trained: reached.map(({ parameter }) => parameter),
    reads: reads.filter((name) => known.has(name)),
    writes,
    metrics: Object.keys(metrics),
  };
}

interface Reached {
  readonly parameter: Parameter;
  readonly value: Value;
  readonly gradient: Value;
}

function missing(name: string): never {
  throw internal(`the objective does not train ${name}`);
}

function withSums(g: GraphBuilder, reached: readonly Reached[]): Reached[] {
  return reached.map((entry) => {
    const sum = g.input(slots.sum(entry.parameter.name), g.float, entry.parameter.shape);
    return { ...entry, gradient: g.add(sum, entry.gradient) };
  });
}

function accumulate(g: GraphBuilder, reached: readonly Reached[]): string[] {
  return withSums(g, reached).map(({ parameter, gradient }) => {
    const name = slots.sum(parameter.name);
    g.output(slots.next(name), gradient);
    return name;
  });
}

/**
 * Every write depends on the clip factor, hence on every gradient, hence on every read of a parameter: state may be
 * overwritten in place (spec: in-place state is exact only under such a dependency).
 */
function update(
  g: GraphBuilder,
  reached: readonly Reached[],
  options: StepOptions,
  lossScale: Value | undefined,
): string[] {
  const accumulated = options.mode === 'update-accumulated';
  const summed = accumulated ? withSums(g, reached) : reached;
  const batches = accumulated ? (options.batches ?? 1) : 1;
  const unscaled = (value: Value) => (lossScale ? g.div(value, lossScale) : value);
  const norm = unscaled(
    g.scale(
      globalNorm(
        g,
        summed.map(({ gradient }) => gradient),
      ),
      1 / batches,
    ),
  );
  const factor = unscaled(g.scale(clipFactor(g, norm, options.clipNorm), 1 / batches));
  const fits = lossScale && g.op('Less', [norm, g.scalar(Infinity)]);
  g.output('gradient_norm', norm);
  const scalars = {
    stepSize: g.input('step_size', g.float, []),
    epsilon: g.input('epsilon', g.float, []),
    shrink: g.input('shrink', g.float, []),
  };
  const writes: string[] = [];
  // What stays is the second choice: ONNX Runtime's CPU kernel makes 0 of -0 in the first.
  const write = (name: string, value: Value, otherwise: Value) => {
    g.output(slots.next(name), fits ? g.op('Where', [fits, value, otherwise]) : value);
    writes.push(name);
  };
  for (const { parameter, value, gradient } of summed) {
    const { name, shape } = parameter;
    const slot = {
      parameter: value,
      moment1: g.input(slots.moment1(name), g.float, shape),
      moment2: g.input(slots.moment2(name), g.float, shape),
    };
    const clipped = g.mul(gradient, factor);
    const next = adamwUpdate(g, options.adamw, scalars, slot, clipped, isDecayed(parameter));
    write(name, next.parameter, slot.parameter);
    write(slots.moment1(name), next.moment1, slot.moment1);
    write(slots.moment2(name), next.moment2, slot.moment2);
    // 0 times something that depends on the factor keeps the order of reads and writes.
    if (accumulated) write(slots.sum(name), g.mul(clipped, g.scalar(0)), g.scalar(0));
  }
  return writes;
}
