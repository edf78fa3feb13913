/** Leaves out what no output depends on. */
import { ancestors, readsOf, type Graph } from '../graph/index.ts';
import { mapInnerGraphs } from './inner-graphs.ts';

/**
 * The graph without the nodes and initializers that no output depends on, inner graphs included. Inputs stay, read or
 * not. The same graph when nothing is left out.
 */
export function withoutDead(graph: Graph): Graph {
  const outputs = graph.outputs.map(({ name }) => name);
  const trimmed = graph.nodes.map((node) => mapInnerGraphs(node, withoutDead));
  const nodes = ancestors({ ...graph, nodes: trimmed }, outputs);
  const used = new Set([...outputs, ...nodes.flatMap(readsOf)]);
  const initializers = new Map([...graph.initializers].filter(([name]) => used.has(name)));
  const isSame =
    nodes.length === graph.nodes.length &&
    nodes.every((node, i) => node === graph.nodes[i]) &&
    initializers.size === graph.initializers.size;
  return isSame ? graph : withKnownValues({ ...graph, nodes, initializers });
}

/** The graph without the types of values that it does not have. */
export function withKnownValues(graph: Graph): Graph {
  const border = [...graph.inputs, ...graph.outputs].map(({ name }) => name);
  const known = new Set([...border, ...graph.initializers.keys(), ...graph.nodes.flatMap((node) => node.outputs)]);
  return { ...graph, values: new Map([...graph.values].filter(([name]) => known.has(name))) };
}
