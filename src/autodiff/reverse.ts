/** Reverse-mode differentiation of a graph under construction: one walk, no operator names. */
import { internal } from '../errors/index.ts';
import {
  broadcastAxes,
  isStatic,
  ops,
  sameShape,
  type Call,
  type GraphBuilder,
  type OpEntry,
  type Value,
} from '../ops/index.ts';
import { recomputed, segmentsOf, type Recomputed, type Segment } from './recompute.ts';

/** What the walk knows. */
interface Walk {
  readonly g: GraphBuilder;
  /** Names of all values that depend on those of interest. */
  readonly active: ReadonlySet<string>;
  /** Gradients so far, by value. */
  readonly grads: Map<string, Value>;
  readonly wrt: ReadonlySet<string>;
  /** Terms of the gradients of interest since the last recomputation. */
  readonly terms: Value[];
}

/**
 * Appends the backward pass of a scalar loss and returns its gradients with respect to `wrt`, in order; undefined
 * where the loss does not depend on a value. Each gradient has the shape of its value.
 */
export function gradients(g: GraphBuilder, loss: Value, wrt: readonly Value[]): (Value | undefined)[] {
  return gradientsRecomputing(g, loss, wrt, () => undefined).gradients;
}

/**
 * The same with a backward pass that computes values of the forward pass again, from what successive calls of one name
 * read. The calls that are differentiated first keep their values, which are still there.
 * @param nameOf undefined for calls whose values are kept
 * @returns also what is called twice: the built graph has to pass through `withReaders`
 */
export function gradientsRecomputing(
  g: GraphBuilder,
  loss: Value,
  wrt: readonly Value[],
  nameOf: (call: Call) => string | undefined,
): { readonly gradients: (Value | undefined)[]; readonly segments: readonly Recomputed[] } {
  if (loss.shape.length !== 0) throw internal(`the loss must be a scalar, ${loss.name} has [${loss.shape.join(',')}]`);
  const forward = [...g.calls];
  const active = reachable(forward, wrt);
  const grads = new Map<string, Value>();
  const walk: Walk = { g, active, grads, wrt: new Set(wrt.map(({ name }) => name)), terms: [] };
  if (active.has(loss.name)) grads.set(loss.name, g.scalar(1));
  const segments: Recomputed[] = [];
  let isFirst = true;
  for (const segment of segmentsOf(forward, nameOf).reverse()) {
    const dys = segment.calls.flatMap(({ outputs }) => outputs.flatMap(({ name }) => grads.get(name) ?? []));
    if (dys.length === 0) continue;
    const second = segment.name !== undefined && !isFirst ? recomputedAfter(walk, segment, dys) : undefined;
    if (segment.name !== undefined) isFirst = false;
    if (second) segments.push(second);
    for (const call of [...segment.calls].reverse()) backward(walk, call, (value) => second?.again(value) ?? value);
  }
  return { gradients: wrt.map((value) => grads.get(value.name)), segments };
}

/** All gradients of what came later are complete then, so that what they needed can be forgotten. */
function recomputedAfter({ g, wrt, terms }: Walk, segment: Segment, dys: readonly Value[]): Recomputed {
  return g.scope('recomputed', () =>
    recomputed(
      g,
      segment,
      [...dys, ...terms.splice(0)],
      (value) => wrt.has(value.name) || g.constantOf(value) !== undefined,
    ),
  );
}

/** Names of all values that depend on `wrt` through differentiable inputs. */
function reachable(calls: readonly Call[], wrt: readonly Value[]): Set<string> {
  const names = new Set(wrt.map((value) => value.name));
  for (const call of calls) {
    const { gradient, traits } = ops[call.type];
    if (gradient === 'none') continue;
    if (!call.inputs.some((input, i) => input && names.has(input.name) && !traits.constantInputs?.includes(i)))
      continue;
    for (const output of call.outputs) names.add(output.name);
  }
  return names;
}

/** @param again what a rule reads in place of a value of the forward pass */
function backward({ g, active, grads, wrt, terms }: Walk, call: Call, again: (value: Value) => Value): void {
  const dy = grads.get((call.outputs[0] as Value).name);
  if (call.outputs.slice(1).some((output) => grads.has(output.name)))
    throw internal(`only the first output of ${call.type} can be differentiated`);
  if (!dy) return;
  const { gradient, traits } = ops[call.type] as OpEntry<typeof call.type>;
  if (gradient === 'forbidden') throw internal(`${call.type} must not be differentiated`);
  if (gradient === 'none') return;
  const needs = (index: number) => {
    const input = call.inputs[index];
    return input !== undefined && active.has(input.name) && !traits.constantInputs?.includes(index);
  };
  const inputGrads = gradient({
    g,
    inputs: call.inputs.map((input) => input && again(input)) as never,
    outputs: call.outputs.map(again),
    attributes: call.attributes,
    dy,
    needs,
  });
  call.inputs.forEach((input, i) => {
    const grad = inputGrads[i];
    if (!input || !grad || !needs(i)) return;
    const fitted = sumToShape(g, grad, input);
    if (wrt.has(input.name)) terms.push(fitted);
    const sum = grads.get(input.name);
    grads.set(input.name, sum ? g.add(sum, fitted) : fitted);
  });
}

/** Undoes broadcasting: sums over the axes along which the input was repeated, or repeats what is still missing. */
function sumToShape(g: GraphBuilder, grad: Value, input: Value): Value {
  if (sameShape(grad.shape, input.shape)) return grad;
  if (!isStatic(input.shape)) throw internal(`a gradient needs the static shape of ${input.name}`);
  const axes = broadcastAxes(grad.shape, input.shape);
  const summed = axes.length > 0 ? g.reshape(g.sum(grad, axes), input.shape) : grad;
  return sameShape(summed.shape, input.shape) ? summed : g.op('Expand', [summed, g.ints(input.shape)]);
}
