/** Questions about a graph's wiring: who makes a value, who reads it, in what order. */
import { KdxError } from '../errors/index.ts';
import type { Graph, Node, ValueInfo } from './graph.ts';

/** Node that makes each value. */
export function producers(graph: Graph): Map<string, Node> {
  const map = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) if (output) map.set(output, node);
  return map;
}

/** Nodes that read each value, once per use, subgraph captures included. */
export function consumers(graph: Graph): Map<string, Node[]> {
  const map = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const input of readsOf(node)) {
      const list = map.get(input);
      if (list) list.push(node);
      else map.set(input, [node]);
    }
  }
  return map;
}

/** All names a node reads: its inputs and what its subgraphs capture from outside. */
export function readsOf(node: Node): string[] {
  const reads = node.inputs.filter((name) => name !== '');
  return Object.values(node.attributes).reduce(
    (all, attribute) => (attribute.type === 'graph' ? all.concat(capturesOf(attribute.value)) : all),
    reads,
  );
}

/** Names that a subgraph takes from the graph around it. */
export function capturesOf(graph: Graph): string[] {
  const own = new Set<string>([...graph.inputs.map((input) => input.name), ...graph.initializers.keys()]);
  for (const node of graph.nodes) for (const output of node.outputs) own.add(output);
  const captured = graph.nodes.flatMap(readsOf).filter((name) => !own.has(name));
  for (const output of graph.outputs) if (!own.has(output.name)) captured.push(output.name);
  return captured;
}

/** Type and shape of a named value, from wherever the graph states it. */
export function infoOf(graph: Graph, name: string): ValueInfo | undefined {
  const inner = graph.values.get(name);
  if (inner) return inner;
  const initializer = graph.initializers.get(name);
  if (initializer) return { name, dtype: initializer.dtype, shape: initializer.dims };
  return graph.inputs.find((input) => input.name === name) ?? graph.outputs.find((output) => output.name === name);
}

/** Nodes that the given values depend on, in graph order. */
export function ancestors(graph: Graph, names: Iterable<string>): Node[] {
  const needed = new Set(names);
  const kept: Node[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i] as Node;
    if (!node.outputs.some((output) => output !== '' && needed.has(output))) continue;
    kept.push(node);
    for (const name of readsOf(node)) needed.add(name);
  }
  return kept.reverse();
}

/** The nodes in an order in which every value is made before it is read; throws KdxError `invalid-graph` on a cycle. */
export function topologicalOrder(graph: Graph): Node[] {
  const makers = producers(graph);
  const order: Node[] = [];
  const state = new Map<Node, 'open' | 'done'>();
  for (const root of graph.nodes) {
    const stack: { node: Node; reads: string[]; next: number }[] = [];
    const enter = (node: Node) => {
      if (state.get(node) === 'done') return;
      if (state.get(node) === 'open')
        throw new KdxError('invalid-graph', `graph ${graph.name} has a cycle through node ${node.name || node.opType}`);
      state.set(node, 'open');
      stack.push({ node, reads: readsOf(node), next: 0 });
    };
    enter(root);
    for (let frame = stack.at(-1); frame; frame = stack.at(-1)) {
      const read = frame.reads[frame.next++];
      if (read === undefined) {
        state.set(frame.node, 'done');
        order.push(frame.node);
        stack.pop();
        continue;
      }
      const maker = makers.get(read);
      if (maker) enter(maker);
    }
  }
  return order;
}
