/** Linear layers of any graph: x · W + b with a constant W, as MatMul and Add or as Gemm. */
import { consumers, type Attribute, type Graph, type Node, type Tensor } from 'kdx/graph';
import { constantsOf, type Constants } from './constants.ts';
import type { KeptNode } from './quantizer.ts';

export interface LinearLayer {
  /** MatMul or Gemm. */
  readonly node: Node;
  /** Activations [..., K]. */
  readonly input: string;
  readonly weight: LinearWeight;
  /** Constant of N elements; that of a Gemm may be any value that Add takes in its place. */
  readonly bias: string | undefined;
  /** The Add behind a MatMul that has this bias and is the only reader of the product. */
  readonly add: Node | undefined;
}

export interface LinearWeight {
  /** Initializer; layers with the same name share it. */
  readonly name: string;
  readonly value: Tensor<'float32'>;
  /** Stored as [N, K], otherwise as [K, N]. */
  readonly transposed: boolean;
}

export interface LinearLayers {
  /** In graph order. */
  readonly layers: readonly LinearLayer[];
  /** Products with a constant matrix that are no plain linear layer. */
  readonly kept: readonly KeptNode[];
}

export function findLinearLayers(graph: Graph, constants: Constants = constantsOf(graph)): LinearLayers {
  const readers = consumers(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const layers: LinearLayer[] = [];
  const kept: KeptNode[] = [];
  for (const node of graph.nodes) {
    if (node.domain !== '' || (node.opType !== 'MatMul' && node.opType !== 'Gemm')) continue;
    const [input, right, third] = node.inputs as [string, string, string?];
    const weight = matrixOf(constants, right);
    if (!weight || constants.of(input)) continue;
    if (node.opType === 'MatMul') {
      const output = node.outputs[0] as string;
      const reader = readers.get(output)?.length === 1 && !outputs.has(output) ? readers.get(output)?.[0] : undefined;
      const bias = reader && biasOf(constants, reader, output, columnsOf(weight));
      layers.push({ node, input, weight, bias, add: bias === undefined ? undefined : reader });
    } else {
      const reason = gemmProblem(node);
      if (reason !== undefined) kept.push({ node: nameOf(node), opType: node.opType, reason });
      else {
        const transposed = weight.transposed !== (numberOf(node.attributes['transB']) === 1);
        layers.push({ node, input, weight: { ...weight, transposed }, bias: third || undefined, add: undefined });
      }
    }
  }
  return { layers, kept };
}

/** N of W [K, N]. */
export function columnsOf({ value, transposed }: LinearWeight): number {
  return value.dims[transposed ? 0 : 1] as number;
}

/** What a node is called in reports. */
export function nameOf(node: Node): string {
  return node.name || (node.outputs[0] as string);
}

function matrixOf(constants: Constants, name: string): LinearWeight | undefined {
  const constant = constants.of(name);
  if (constant?.value.dtype !== 'float32' || constant.value.dims.length !== 2) return undefined;
  return {
    name: constant.source,
    value: constant.value as Tensor<'float32'>,
    transposed: constant.transposed,
  };
}

/** The constant that an Add adds to a product of N columns, if it is one of N elements. */
function biasOf(constants: Constants, add: Node, product: string, columns: number): string | undefined {
  if (add.domain !== '' || add.opType !== 'Add') return undefined;
  const other = add.inputs.find((name) => name !== product);
  const dims = other === undefined ? undefined : constants.of(other)?.value.dims;
  const fits = dims?.at(-1) === columns && dims.slice(0, -1).every((dim) => dim === 1);
  return fits ? other : undefined;
}

/** Why a Gemm is not x · W + b. */
function gemmProblem({ attributes, inputs }: Node): string | undefined {
  if (numberOf(attributes['transA']) === 1) return 'its activations are transposed (transA)';
  for (const name of ['alpha', 'beta']) {
    const value = numberOf(attributes[name]) ?? 1;
    if (value !== 1 && (name === 'alpha' || inputs[2])) return `its ${name} is ${value}, not 1`;
  }
  return undefined;
}

function numberOf(attribute: Attribute | undefined): number | undefined {
  return attribute?.type === 'int' || attribute?.type === 'float' ? attribute.value : undefined;
}
