/** Graphs inside nodes (the branches of If, the bodies of Loop and Scan): listing and changing them. */
import type { Attribute, Graph, Node } from '../graph/index.ts';

/** A graph and all inside it: each graph before those of its nodes, in node order. */
export function graphsOf(graph: Graph): Graph[] {
  return [graph, ...graph.nodes.flatMap(innerGraphs).flatMap(graphsOf)];
}

function innerGraphs({ attributes }: Node): Graph[] {
  return Object.values(attributes).flatMap((attribute) => (attribute.type === 'graph' ? [attribute.value] : []));
}

/** The node with its inner graphs changed, in the order of `graphsOf`; the same node when none changes. Not recursive. */
export function mapInnerGraphs(node: Node, change: (graph: Graph) => Graph): Node {
  let isSame = true;
  const changed = Object.entries(node.attributes).map(([key, attribute]): [string, Attribute] => {
    if (attribute.type !== 'graph') return [key, attribute];
    const value = change(attribute.value);
    isSame &&= value === attribute.value;
    return [key, { type: 'graph', value }];
  });
  return isSame ? node : { ...node, attributes: Object.fromEntries(changed) };
}
