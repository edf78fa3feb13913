/** The invariants of a graph. */
import { KdxError } from '../errors/index.ts';
import type { Graph } from './graph.ts';
import { elementCount, storageLength } from './tensor.ts';

/**
 * Throws KdxError `invalid-graph` unless every name is made exactly once, before it is read, every output exists,
 * and every initializer has as many elements as its shape says.
 */
export function checkGraph(graph: Graph): void {
  checkScope(graph, () => false);
}

/** @param isOuter whether a name is defined in a graph around this one */
function checkScope(graph: Graph, isOuter: (name: string) => boolean): void {
  const fail = (what: string): never => {
    throw new KdxError('invalid-graph', `graph ${graph.name}: ${what}`);
  };
  const own = new Set<string>();
  const isDefined = (name: string) => own.has(name) || isOuter(name);
  const define = (name: string, by: string) => {
    if (isDefined(name)) fail(`${by} defines ${JSON.stringify(name)}, which is already defined`);
    own.add(name);
  };
  for (const input of graph.inputs) define(input.name, 'an input');
  for (const [name, value] of graph.initializers) {
    define(name, 'an initializer');
    const expected = storageLength(value.dtype, elementCount(value.dims));
    if (value.data.length !== expected)
      fail(`initializer ${name} of shape [${value.dims.join(',')}] has ${value.data.length} elements, not ${expected}`);
  }
  for (const node of graph.nodes) {
    const label = `node ${node.name || node.opType}`;
    for (const input of node.inputs)
      if (input !== '' && !isDefined(input)) fail(`${label} reads ${JSON.stringify(input)} before it is made`);
    for (const attribute of Object.values(node.attributes))
      if (attribute.type === 'graph') checkScope(attribute.value, isDefined);
    for (const output of node.outputs) if (output !== '') define(output, label);
  }
  for (const output of graph.outputs)
    if (!isDefined(output.name)) fail(`output ${JSON.stringify(output.name)} is never made`);
}
