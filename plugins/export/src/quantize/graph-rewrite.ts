/** Rewriting a graph: nodes in the place of nodes, new constants, and what nothing reads any more left out. */
import { ancestors, readsOf, type Graph, type Node, type Tensor } from 'kdx/graph';

export interface Rewrite {
  /** What takes the place of a node. In their place in the order, they may read whatever the node could read. */
  readonly nodes: ReadonlyMap<Node, readonly Node[]>;
  readonly initializers: ReadonlyMap<string, Tensor>;
}

/** The graph with nodes replaced; nodes and initializers that no output needs are gone. */
export function rewriteGraph(graph: Graph, { nodes, initializers }: Rewrite): Graph {
  const replaced = graph.nodes.flatMap((node) => nodes.get(node) ?? [node]);
  const outputs = graph.outputs.map(({ name }) => name);
  const kept = ancestors({ ...graph, nodes: replaced }, outputs);
  const read = new Set([...kept.flatMap(readsOf), ...outputs]);
  const made = new Set(kept.flatMap((node) => node.outputs));
  return {
    ...graph,
    nodes: kept,
    initializers: new Map([...graph.initializers, ...initializers].filter(([name]) => read.has(name))),
    values: new Map([...graph.values].filter(([name]) => made.has(name))),
  };
}

/** Gives out names that are nowhere in a graph, and each only once: the wanted one, or with a number behind it. */
export function freshNames(graph: Graph): (wanted: string) => string {
  const taken = new Set<string>();
  takeNames(graph, taken);
  return (wanted) => {
    let name = wanted;
    for (let i = 1; taken.has(name); i++) name = `${wanted}_${i}`;
    taken.add(name);
    return name;
  };
}

function takeNames(graph: Graph, taken: Set<string>): void {
  const add = (name: string) => taken.add(name);
  for (const { name } of [...graph.inputs, ...graph.outputs]) add(name);
  for (const name of graph.initializers.keys()) add(name);
  for (const node of graph.nodes) {
    [node.name, ...node.inputs, ...node.outputs].forEach(add);
    for (const attribute of Object.values(node.attributes))
      if (attribute.type === 'graph') takeNames(attribute.value, taken);
  }
}

/** A node of the standard domain, named after its output. */
export function standardNode(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Node['attributes'] = {},
): Node {
  return { name: outputs[0] as string, opType, domain: '', inputs, outputs, attributes };
}
