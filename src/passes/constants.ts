/** Constant nodes as initializers, so that there is one place where weights are looked for. */
import { tensor, tensorOf, type Graph, type Node, type Tensor } from '../graph/index.ts';
import { mapInnerGraphs } from './inner-graphs.ts';

/** What a Constant node makes; undefined for any other node, and for an attribute that is not known here. */
export function constantValue({ opType, domain, attributes }: Node): Tensor | undefined {
  const [entry, ...others] = Object.entries(attributes);
  if (opType !== 'Constant' || domain !== '' || entry === undefined || others.length > 0) return undefined;
  const [key, { type, value }] = entry;
  switch (`${key}: ${type}`) {
    case 'value: tensor':
      return value as Tensor;
    case 'value_float: float':
      return tensorOf('float32', [], [value as number]);
    case 'value_floats: floats':
      return tensorOf('float32', [(value as number[]).length], value as number[]);
    case 'value_int: int':
      return tensorOf('int64', [], [value as number]);
    case 'value_ints: ints':
      return tensorOf('int64', [(value as number[]).length], value as number[]);
    case 'value_string: string':
      return tensor('string', [], [value as string]);
    case 'value_strings: strings':
      return tensor('string', [(value as string[]).length], value as string[]);
    default:
      return undefined;
  }
}

/**
 * The graph with an initializer of the same name in place of each Constant node, inner graphs included. A Constant that
 * is an output of its graph stays. The same graph when there is nothing to change.
 */
export function withConstantInitializers(graph: Graph): Graph {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const moved = new Map<string, Tensor>();
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    const name = node.outputs[0] as string;
    const value = outputs.has(name) ? undefined : constantValue(node);
    if (value) moved.set(name, value);
    else nodes.push(mapInnerGraphs(node, withConstantInitializers));
  }
  if (moved.size === 0 && nodes.every((node, i) => node === graph.nodes[i])) return graph;
  return { ...graph, nodes, initializers: new Map([...graph.initializers, ...moved]) };
}
