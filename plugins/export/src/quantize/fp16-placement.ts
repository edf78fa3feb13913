/** Which nodes compute in float16. Products do; what surrounds them follows, unless it could leave the range of float16. */
import { consumers, dtypeCodes, infoOf, producers, type Graph, type Node } from 'kdx/graph';
import type { Constants } from './constants.ts';

/** Inputs of an operator that have its element type. */
type FloatInputs = 'all' | readonly number[];

/** The bulk of the work; sums of products are made in float32 by every implementation that is known. */
const products: Readonly<Record<string, FloatInputs>> = { MatMul: 'all', Gemm: 'all' };

/** Take the values as they are. */
const layouts: Readonly<Record<string, FloatInputs>> = {
  Concat: 'all',
  Expand: [0],
  Flatten: [0],
  Gather: [0],
  Identity: [0],
  Reshape: [0],
  Slice: [0],
  Split: [0],
  Squeeze: [0],
  Transpose: [0],
  Unsqueeze: [0],
};

/** Hardly larger than their operands. */
const sums: Readonly<Record<string, FloatInputs>> = {
  Add: 'all',
  Max: 'all',
  Min: 'all',
  Neg: [0],
  Relu: [0],
  Sub: 'all',
  Where: [1, 2],
};

const SQUARES = 'squares and their sums pass 65504';
const SMALL_DIVISORS = 'an epsilon of 1e-12 is 0 in float16';
const EXPONENTIALS = 'masks of -1e38 and sums of exponentials do not fit float16';
const TAILS = 'the tails of the activation cancel (1 + erf x near -1)';

/** Why an operator stays in float32. Operators that are in no list here stay there too. */
export const float32Reasons: ReadonlyMap<string, string> = new Map([
  ...['LayerNormalization', 'ReduceMean', 'ReduceSum', 'ReduceSumSquare', 'ReduceL2', 'Pow', 'Mul'].map(
    (opType) => [opType, SQUARES] as const,
  ),
  ...['Div', 'Sqrt', 'Reciprocal'].map((opType) => [opType, SMALL_DIVISORS] as const),
  ...['Softmax', 'LogSoftmax', 'Exp', 'Log'].map((opType) => [opType, EXPONENTIALS] as const),
  ...['Erf', 'Gelu', 'Tanh', 'Sigmoid'].map((opType) => [opType, TAILS] as const),
]);

/** Reads of these do not depend on the element type. */
export function isTypeless({ domain, opType }: Node): boolean {
  return domain === '' && (opType === 'Shape' || opType === 'Size');
}

export interface Placement {
  /** Nodes whose float inputs and outputs are float16. */
  readonly float16: ReadonlySet<Node>;
  /** Names that are float32 in the graph as it is, as far as that is known. */
  readonly floats: ReadonlySet<string>;
}

/**
 * A node that follows is in float16 unless one of its inputs is made in float32 (as in PyTorch's autocast) or all its
 * readers want float32; so residual sums, masks, activations and norms stay whole in float32. Rows of a float16 table are
 * taken in float16 in any case.
 * @param matrices names of the constants that are stored as float16
 * @param products whether MatMul and Gemm compute in float16
 */
export function placeNodes(
  graph: Graph,
  constants: Constants,
  matrices: ReadonlySet<string>,
  compute: 'float16' | 'float32',
): Placement {
  const floats = floatNames(graph);
  const readers = consumers(graph);
  const makers = producers(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const float16 = new Set<Node>();
  const open = new Set<Node>();
  for (const node of graph.nodes) {
    const data = floatInputs(node);
    if (data.length === 0 || !data.every((name) => floats.has(name))) continue;
    const source = constants.of(data[0] as string)?.source;
    if (node.opType in products ? compute === 'float16' : node.opType in layouts && matrices.has(source ?? ''))
      float16.add(node);
    else if (node.opType in layouts || node.opType in sums) open.add(node);
  }
  const isFloat32 = (node: Node | undefined) => node === undefined || !(float16.has(node) || open.has(node));
  const madeInFloat32 = (name: string) => !constants.of(name) && isFloat32(makers.get(name));
  const wantedInFloat32 = (name: string) => {
    const readings = (readers.get(name) ?? []).filter((reader) => !isTypeless(reader));
    return readings.every(isFloat32) && (readings.length > 0 || outputs.has(name));
  };
  for (let before = -1; before !== open.size;) {
    before = open.size;
    for (const node of [...open].reverse())
      if (floatInputs(node).some(madeInFloat32) || node.outputs.every(wantedInFloat32)) open.delete(node);
  }
  return { float16: new Set([...float16, ...open]), floats };
}

/** Names of the inputs that have the element type of the output, of the operators listed here. */
export function floatInputs({ domain, opType, inputs }: Node): string[] {
  if (domain !== '') return [];
  const positions = products[opType] ?? layouts[opType] ?? sums[opType] ?? (float32Reasons.has(opType) ? [0] : []);
  return inputs.filter((name, i) => name !== '' && (positions === 'all' || positions.includes(i)));
}

function floatNames(graph: Graph): Set<string> {
  const floats = new Set<string>();
  for (const { name, dtype } of graph.inputs) if (dtype === 'float32') floats.add(name);
  for (const [name, { dtype }] of graph.initializers) if (dtype === 'float32') floats.add(name);
  for (const node of graph.nodes)
    for (const output of node.outputs) {
      const known = infoOf(graph, output)?.dtype;
      if (output !== '' && (known === undefined ? makesFloat(node, floats) : known === 'float32')) floats.add(output);
    }
  return floats;
}

function makesFloat(node: Node, floats: ReadonlySet<string>): boolean {
  const { domain, opType, attributes } = node;
  const to = attributes['to'];
  if (domain === '' && opType === 'Cast') return to?.type === 'int' && to.value === dtypeCodes.float32;
  const value = attributes['value'];
  if (domain === '' && opType === 'Constant') return value?.type === 'tensor' && value.value.dtype === 'float32';
  const data = floatInputs(node);
  return data.length > 0 && data.every((name) => floats.has(name));
}
