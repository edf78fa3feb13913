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

/**
 * Appends the backward pass of a scalar loss and returns its gradients with respect to `wrt`, in order; undefined
 * where the loss does not depend on a value. Each gradient has the shape of its value.
 */
export function gradients(g: GraphBuilder, loss: Value, wrt: readonly Value[]): (Value | undefined)[] {
  if (loss.shape.length !== 0) throw internal(`the loss must be a scalar, ${loss.name} has [${loss.shape.join(',')}]`);
  const forward = [...g.calls];
  const active = reachable(forward, wrt);
  const grads = new Map<string, Value>();
  if (active.has(loss.name)) grads.set(loss.name, g.scalar(1));
  for (const call of forward.reverse()) backward(g, call, active, grads);
  return wrt.map((value) => grads.get(value.name));
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

function backward(g: GraphBuilder, call: Call, active: ReadonlySet<string>, grads: Map<string, Value>): void {
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
    inputs: call.inputs as never,
    outputs: call.outputs,
    attributes: call.attributes,
    dy,
    needs,
  });
  call.inputs.forEach((input, i) => {
    const grad = inputGrads[i];
    if (!input || !grad || !needs(i)) return;
    const fitted = sumToShape(g, grad, input);
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
