/** Matrix products on float16 operands, everything else as it was: mixed precision (Micikevicius et al. 2018, arXiv 1710.03740). */
import { dtypeCodes, infoOf, type DType, type Graph, type Node, type ValueInfo } from '../graph/index.ts';
import { withoutDead } from './dead.ts';

const products: readonly string[] = ['Gemm', 'MatMul'];
/** Operators that move elements: a cast before them is the same as one behind. */
const moves: readonly string[] = ['Reshape', 'Transpose'];

/**
 * The graph with float16 operands and results of float32 products. Each tensor is cast once, before it is reshaped or
 * transposed, and a result that only other products read stays float16. Answers differ by rounding to 11 bits, and numbers
 * beyond 65504 become infinite. The same graph where there is no product.
 */
export function withHalfProducts(graph: Graph): Graph {
  const isProduct = ({ opType, domain, inputs }: Node) =>
    domain === '' && products.includes(opType) && infoOf(graph, inputs[0] as string)?.dtype === 'float32';
  if (!graph.nodes.some(isProduct)) return graph;
  const nodes: Node[] = [];
  const values = new Map(graph.values);
  const makers = new Map<string, Node>();
  const halves = new Map<string, string>();

  const named = (name: string): string => {
    const half = `${name}/float16`;
    const info = infoOf(graph, name);
    if (info) values.set(half, { ...info, name: half, dtype: 'float16' } satisfies ValueInfo);
    halves.set(name, half);
    return half;
  };
  const halfOf = (name: string): string => {
    const known = halves.get(name);
    if (known !== undefined) return known;
    const maker = makers.get(name);
    if (maker?.domain === '' && moves.includes(maker.opType)) {
      const [source, ...rest] = maker.inputs as [string, ...string[]];
      const input = halfOf(source);
      const half = named(name);
      nodes.push({ ...maker, name: half, inputs: [input, ...rest], outputs: [half] });
      return half;
    }
    const half = named(name);
    nodes.push(cast(name, half, 'float16'));
    return half;
  };

  for (const node of graph.nodes) {
    for (const output of node.outputs) makers.set(output, node);
    if (!isProduct(node)) {
      nodes.push(node);
      continue;
    }
    const inputs = node.inputs.map((name) => (name === '' ? '' : halfOf(name)));
    const [output] = node.outputs as [string];
    const half = named(output);
    nodes.push({ ...node, name: half, inputs, outputs: [half] }, cast(half, output, 'float32'));
  }
  return withoutDead({ ...graph, nodes, values });
}

function cast(from: string, to: string, dtype: DType): Node {
  const code = dtypeCodes[dtype];
  return {
    name: to,
    opType: 'Cast',
    domain: '',
    inputs: [from],
    outputs: [to],
    attributes: { to: { type: 'int', value: code } },
  };
}
