/** Analytic FLOPs of any ONNX graph whose shapes are known: 2 M N K for each matrix product, the rest is free. */
import type { Graph, Node } from 'kdx/graph';

/** The shape of a value with symbolic dimensions bound; undefined when it is not known. */
export type ShapeOf = (value: string) => readonly number[] | undefined;

type Shape = readonly number[];
/** Operations of one node from the shapes of its inputs and of its first output. */
type FlopsRule = (node: Node, inputs: readonly Shape[], output: Shape) => number;

const elements = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);
const integer = (node: Node, name: string, otherwise: number): number => {
  const attribute = node.attributes[name];
  return attribute?.type === 'int' ? attribute.value : otherwise;
};

/** Every output element is a sum of K products; K is the last dimension of A. */
const product: FlopsRule = (_node, [a = []], output) => 2 * elements(output) * (a.at(-1) ?? 1);

/** As `product`, but A may be transposed. */
const maybeTransposed: FlopsRule = (node, [a = []], output) =>
  2 * elements(output) * (a.at(integer(node, 'transA', 0) ? -2 : -1) ?? 1);

/** Projection of the input [batch, seq, d] by [d, 3 h], then scores and their product with V: 4 batch seq^2 h. */
const attention: FlopsRule = (_node, [input = [], weight = []]) => {
  const [batch = 1, length = 1, hidden = 1] = input;
  const projected = weight[1] ?? 0;
  return 2 * batch * length * hidden * projected + (4 * batch * length ** 2 * projected) / 3;
};

/** Query [batch, seq, h] against key and value [batch, memory, h]. */
const multiHeadAttention: FlopsRule = (_node, [query = [], key = [], value = []]) =>
  2 * elements(query) * (key[1] ?? 1) + 2 * (query[0] ?? 1) * (query[1] ?? 1) * elements(value.slice(1));

/** Matrix products of the standard domain and of ONNX Runtime's fused forms. */
const rules: Readonly<Record<string, FlopsRule>> = {
  MatMul: product,
  MatMulInteger: product,
  QLinearMatMul: product,
  Gemm: maybeTransposed,
  'com.microsoft.FusedMatMul': maybeTransposed,
  'com.microsoft.FusedGemm': maybeTransposed,
  'com.microsoft.DynamicQuantizeMatMul': product,
  'com.microsoft.MatMulIntegerToFloat': product,
  'com.microsoft.MatMulNBits': product,
  'com.microsoft.Attention': attention,
  'com.microsoft.QAttention': attention,
  'com.microsoft.MultiHeadAttention': multiHeadAttention,
};

/** Operations of one run of the graph; `null` when a shape that is needed is not known. */
export function graphFlops(graph: Graph, shapeOf: ShapeOf): number | null {
  let total = 0;
  for (const node of graph.nodes) {
    const rule = rules[node.domain === '' || node.domain === 'ai.onnx' ? node.opType : `${node.domain}.${node.opType}`];
    if (!rule) continue;
    // No rule looks further than Q, K and V.
    const inputs = node.inputs.slice(0, 3).map((name) => (name === '' ? [] : shapeOf(name)));
    const output = shapeOf(node.outputs[0] ?? '');
    if (!output || inputs.some((shape) => shape === undefined)) return null;
    total += rule(node, inputs as Shape[], output);
  }
  return total;
}

/**
 * The shapes that a graph states itself (inputs, outputs, initializers, inner values), with symbolic dimensions
 * replaced by `bindings`, such as `{ batch_size: 1, sequence_length: 128 }`.
 */
export function statedShapes(graph: Graph, bindings: Readonly<Record<string, number>>): ShapeOf {
  const stated = new Map([...graph.inputs, ...graph.outputs].map((value) => [value.name, value]));
  return (name) => {
    const initializer = graph.initializers.get(name);
    if (initializer) return initializer.dims;
    const shape = (stated.get(name) ?? graph.values.get(name))?.shape;
    const bound = shape?.map((dim) => (typeof dim === 'number' ? dim : bindings[dim]));
    return bound?.every((dim) => dim !== undefined) ? bound : undefined;
  };
}
