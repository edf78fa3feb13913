/** Constant values of a graph, however they are written: initializers, Constant nodes, Identity and Transpose of them. */
import { readsOf, type Graph, type Node, type Tensor } from 'kdx/graph';

/** A name that stands for a constant. */
export interface Constant {
  /** Of the initializer, or of the output of a Constant node: the same for all names of one constant. */
  readonly source: string;
  readonly value: Tensor;
  /** The name stands for the transposed value. */
  readonly transposed: boolean;
}

export interface Constants {
  readonly of: (name: string) => Constant | undefined;
  /** Nodes that read a constant under any of its names, once per use; those that only rename it are left out. */
  readonly readers: (source: string) => readonly Node[];
  /** Whether a constant is an output of the graph. */
  readonly isOutput: (source: string) => boolean;
}

export function constantsOf(graph: Graph): Constants {
  const found = new Map<string, Constant>();
  for (const [source, value] of graph.initializers) found.set(source, { source, value, transposed: false });
  const renaming = new Set<Node>();
  for (const node of graph.nodes) {
    const constant = constantOutput(node, found);
    if (!constant) continue;
    found.set(node.outputs[0] as string, constant);
    renaming.add(node);
  }
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    if (renaming.has(node)) continue;
    for (const name of readsOf(node)) {
      const source = found.get(name)?.source;
      if (source !== undefined) readers.set(source, [...(readers.get(source) ?? []), node]);
    }
  }
  const outputs = new Set(graph.outputs.map(({ name }) => found.get(name)?.source));
  return {
    of: (name) => found.get(name),
    readers: (source) => readers.get(source) ?? [],
    isOutput: (source) => outputs.has(source),
  };
}

function constantOutput(node: Node, known: ReadonlyMap<string, Constant>): Constant | undefined {
  const { opType, domain, attributes } = node;
  if (domain !== '') return undefined;
  if (opType === 'Constant') {
    const value = attributes['value'];
    return value?.type === 'tensor'
      ? { source: node.outputs[0] as string, value: value.value, transposed: false }
      : undefined;
  }
  const input = known.get(node.inputs[0] as string);
  if (!input) return undefined;
  if (opType === 'Identity') return input;
  const isMatrix = input.value.dims.length === 2;
  const perm = attributes['perm'];
  const swaps = perm === undefined || (perm.type === 'ints' && perm.value.join() === '1,0');
  return opType === 'Transpose' && isMatrix && swaps ? { ...input, transposed: !input.transposed } : undefined;
}
