/** Values of a graph that do not depend on its inputs, and the initializer behind each. */
import { elementCount, type Graph, type Node, type Tensor } from '../graph/index.ts';

export interface StoredConstant {
  /** Initializer; of several that a value is made of, the one with the most elements. */
  readonly name: string;
  readonly value: Tensor;
  /** Nodes from it to the value. */
  readonly steps: readonly Node[];
}

/** Longer ways from an initializer to a value are not followed. */
const mostSteps = 16;

/** Constants by the name of each value; Constant nodes must be initializers already. */
export function storedConstants(graph: Graph): ReadonlyMap<string, StoredConstant> {
  const constants = new Map<string, StoredConstant>(
    [...graph.initializers].map(([name, value]) => [name, { name, value, steps: [] }]),
  );
  for (const node of graph.nodes) {
    const sources = node.inputs.filter((name) => name !== '').map((name) => constants.get(name));
    const hasInner = Object.values(node.attributes).some(({ type }) => type === 'graph');
    if (sources.length === 0 || hasInner || !sources.every((source) => source !== undefined)) continue;
    const largest = sources.reduce((a, b) => (elementCount(b.value.dims) > elementCount(a.value.dims) ? b : a));
    if (largest.steps.length === mostSteps) continue;
    for (const output of node.outputs) constants.set(output, { ...largest, steps: [...largest.steps, node] });
  }
  return constants;
}
