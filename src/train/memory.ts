/** How much memory a training step needs, estimated from its graph. */
import { byteLength, type Graph, type ValueInfo } from '../graph/index.ts';
import { isStatic } from '../ops/index.ts';
import type { Step } from './step.ts';

export interface StepMemory {
  /** Inputs: parameters, moments, constants of the run, and a batch with its dropout masks. */
  readonly resident: number;
  /**
   * Most bytes of inner values at one time, in the order of the graph: the executor may reuse more, or keep more. Outputs
   * are not among them, they are written over the state.
   */
  readonly peak: number;
}

/** In bytes; values of unknown shape count nothing. */
export function stepMemory({ model: { graph } }: Pick<Step, 'model'>): StepMemory {
  return { resident: graph.inputs.reduce((sum, input) => sum + bytesOf(input), 0), peak: peakBytes(graph) };
}

/** Each inner value lives from the node that makes it to the last one that reads it. */
function peakBytes({ nodes, values, outputs }: Graph): number {
  const lastUse = new Map<string, number>();
  nodes.forEach(({ inputs }, at) => {
    for (const name of inputs) lastUse.set(name, at);
  });
  for (const { name } of outputs) lastUse.set(name, nodes.length);
  let live = 0;
  let peak = 0;
  nodes.forEach((node, at) => {
    for (const name of node.outputs) live += bytesOf(values.get(name));
    peak = Math.max(peak, live);
    for (const name of new Set([...node.inputs, ...node.outputs]))
      if ((lastUse.get(name) ?? at) === at) live -= bytesOf(values.get(name));
  });
  return peak;
}

function bytesOf(value: ValueInfo | undefined): number {
  const shape = value?.shape;
  return value && shape && isStatic(shape) ? byteLength(value.dtype, shape) : 0;
}
