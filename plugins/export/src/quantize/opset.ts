/** Raising the opset of a model: operators whose meaning changed on the way are rewritten, or the model is refused. */
import { KdxError } from 'kdx/errors';
import { tensorOf, type Attribute, type Graph, type Model, type Node, type Tensor } from 'kdx/graph';
import { freshNames } from './graph-rewrite.ts';

/** What became of an operator in a later opset than the model's. */
interface Change {
  /** Opset that brought it. */
  readonly since: number;
  readonly operators: readonly string[];
  /** The same computation in the new form; undefined when kdx has none. */
  readonly rewrite: ((node: Node, addConstant: AddConstant) => Node) | undefined;
}

type AddConstant = (wanted: string, value: Tensor) => string;

/** From the changelog of ONNX: all changes from opset 14 to 21 that are no mere additions. */
const changes: readonly Change[] = [
  // The default of coordinate_transformation_mode
  { since: 16, operators: ['RoiAlign'], rewrite: undefined },
  {
    since: 18,
    operators: ['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'SumSquare'].map((x) => `Reduce${x}`),
    rewrite: axesAsInput,
  },
  { since: 18, operators: ['Split'], rewrite: withOutputCount },
  { since: 20, operators: ['DFT', 'GridSample'], rewrite: undefined },
  { since: 21, operators: ['GroupNormalization'], rewrite: undefined },
];

/** Oldest opset from which a model can be raised. */
const OLDEST = 13;

/**
 * The model with at least these versions of the standard operators and of the file format.
 * @throws KdxError `opset-too-old`, `opset-change`
 */
export function raiseOpset(model: Model, { opset, irVersion }: { opset: number; irVersion: number }): Model {
  const from = requireOpset(model, OLDEST);
  const raised = { ...model, irVersion: Math.max(model.irVersion, irVersion) };
  if (from >= opset) return raised;
  const pending = changes.filter(({ since }) => since > from && since <= opset);
  const graph = raiseGraph(model.graph, pending, opset, freshNames(model.graph));
  return { ...raised, opsets: { ...model.opsets, '': opset }, graph };
}

/**
 * The opset of a model.
 * @throws KdxError `opset-too-old` below the least one that will do
 */
export function requireOpset(model: Model, least: number): number {
  const opset = model.opsets[''] ?? 1;
  if (opset >= least) return opset;
  throw new KdxError('opset-too-old', `the model is of ONNX opset ${opset}; this form needs ${least} or later`, {
    suggestions: [`export the model again with opset ${least} or later (kdx writes 17)`],
  });
}

function raiseGraph(graph: Graph, pending: readonly Change[], opset: number, fresh: (name: string) => string): Graph {
  const initializers = new Map(graph.initializers);
  const addConstant: AddConstant = (wanted, value) => {
    const name = fresh(wanted);
    initializers.set(name, value);
    return name;
  };
  const nodes = graph.nodes.map((node) => {
    const inner = raiseSubgraphs(node, pending, opset, fresh);
    const change = node.domain === '' ? pending.find(({ operators }) => operators.includes(node.opType)) : undefined;
    if (!change) return inner;
    if (!change.rewrite) throw changed(node, change.since, opset);
    return change.rewrite(inner, addConstant);
  });
  return { ...graph, nodes, initializers };
}

function raiseSubgraphs(node: Node, pending: readonly Change[], opset: number, fresh: (name: string) => string): Node {
  const raised = Object.entries(node.attributes).map(([key, attribute]): [string, Attribute] =>
    attribute.type === 'graph'
      ? [key, { type: 'graph', value: raiseGraph(attribute.value, pending, opset, fresh) }]
      : [key, attribute],
  );
  return { ...node, attributes: Object.fromEntries(raised) };
}

function changed({ name, opType }: Node, since: number, opset: number): KdxError {
  return new KdxError(
    'opset-change',
    `node ${name || opType} (${opType}) means something else from opset ${since} on; this form needs opset ${opset}`,
    { suggestions: [`export the model again with opset ${opset}`, 'use the form nbits, which keeps the opset'] },
  );
}

/** Opset 18: the axes of a reduction are an input. */
function axesAsInput(node: Node, addConstant: AddConstant): Node {
  const { axes, ...attributes } = node.attributes;
  if (axes?.type !== 'ints') return node;
  const value = tensorOf('int64', [axes.value.length], axes.value);
  const input = addConstant(`${node.outputs[0]}_axes`, value);
  return { ...node, inputs: [node.inputs[0] as string, input], attributes };
}

/** Opset 18: a Split into equal parts says into how many. */
function withOutputCount(node: Node): Node {
  if (node.inputs[1]) return node;
  const count: Attribute = { type: 'int', value: node.outputs.length };
  return { ...node, attributes: { ...node.attributes, num_outputs: count } };
}
