/** A graph as stable text, for tests and for people. */
import type { Attribute, Graph, Node, ValueInfo } from './graph.ts';
import { elementCount, type Tensor } from './tensor.ts';

/** `float32[batch_size,2]`; `float32[?]` when the rank is not known. */
export function printType(info: Pick<ValueInfo, 'dtype' | 'shape'>): string {
  return `${info.dtype}[${info.shape ? info.shape.join(',') : '?'}]`;
}

function printTensor(value: Tensor): string {
  const type = printType({ dtype: value.dtype, shape: value.dims });
  if (elementCount(value.dims) > 8) return `${type}{...}`;
  return `${type}{${Array.from(value.data as ArrayLike<unknown>, String).join(',')}}`;
}

function printAttribute(attribute: Attribute): string {
  switch (attribute.type) {
    case 'int':
    case 'float':
      return String(attribute.value);
    case 'string':
      return JSON.stringify(attribute.value);
    case 'tensor':
      return printTensor(attribute.value);
    case 'graph':
      return `{\n${printGraph(attribute.value)}}`;
    default:
      return `[${attribute.value.join(',')}]`;
  }
}

/** `y = Gemm(a, b){transA=1}`. */
export function printNode(node: Node): string {
  const attributes = Object.keys(node.attributes)
    .sort()
    .map((key) => `${key}=${printAttribute(node.attributes[key] as Attribute)}`);
  const op = node.domain ? `${node.domain}.${node.opType}` : node.opType;
  const call = `${node.outputs.join(', ')} = ${op}(${node.inputs.join(', ')})`;
  return attributes.length > 0 ? `${call}{${attributes.join(', ')}}` : call;
}

/** One line per input, initializer, node and output, in graph order. */
export function printGraph(graph: Graph): string {
  const lines = [
    `graph ${graph.name}`,
    ...graph.inputs.map((input) => `  input ${input.name}: ${printType(input)}`),
    ...[...graph.initializers].map(([name, value]) => `  initializer ${name}: ${printTensor(value)}`),
    ...graph.nodes.map((node) => `  ${printNode(node)}`),
    ...graph.outputs.map((output) => `  output ${output.name}: ${printType(output)}`),
  ];
  return lines.join('\n') + '\n';
}
