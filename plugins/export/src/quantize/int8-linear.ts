/**
 * Linear layers on dynamically quantized activations, in the operators that ONNX Runtime fuses to DynamicQuantizeMatMul, or
 * to MatMulIntegerToFloat where several layers read one activation. It looks for Mul(activation scale, weight scale) in
 * this order; the weight's zero point is 0 and left out.
 *
 * Of an activation x with outlier channels S, x W = (x with 0 in S) W + x_S W_S: 0 has a code of its own, so the first
 * product is that of the quantized W as it is, and the second is float32.
 */
import { tensor, type Node, type Tensor } from 'kdx/graph';
import { standardNode } from './graph-rewrite.ts';
import { quantizeColumns, type WeightBits } from './int8-columns.ts';
import { columnsOf, type LinearLayer, type LinearWeight } from './linear-layers.ts';
import type { Outliers } from './outliers.ts';
import type { QuantizedLayers } from './quantized-part.ts';
import type { QuantizedTensor } from './quantizer.ts';

type Fresh = (wanted: string) => string;

interface StoredWeight {
  readonly codes: string;
  readonly scales: string;
}

interface Activation {
  /** Codes, scale and zero point. */
  readonly quantized: readonly [string, string, string];
  readonly outliers?: { readonly values: string; readonly channels: readonly number[] };
}

interface Int8Options {
  readonly bits: WeightBits;
  readonly outliers: Outliers;
}

/** @throws KdxError `not-finite` */
export function quantizeLinearLayers(
  layers: readonly LinearLayer[],
  { bits, outliers }: Int8Options,
  fresh: Fresh,
): QuantizedLayers {
  const initializers = new Map<string, Tensor>();
  const tensors = new Map<string, QuantizedTensor>();
  const nodes = new Map<Node, readonly Node[]>();
  const weights = new Map<string, StoredWeight>();
  const activations = new Map<string, Activation>();
  const outlierWeights = new Map<string, string>();

  const store = (weight: LinearWeight): StoredWeight => {
    const { codes, scales, narrowed } = quantizeColumns(weight, bits);
    const names = { codes: fresh(`${weight.name}_quantized`), scales: fresh(`${weight.name}_scale`) };
    initializers.set(names.codes, codes).set(names.scales, scales);
    const detail = narrowed > 0 ? `, ${narrowed} of ${columnsOf(weight)} below 127 levels` : '';
    tensors.set(weight.name, {
      name: weight.name,
      as: `int8 per channel${detail}`,
      bytesBefore: weight.value.data.byteLength,
      bytesAfter: codes.data.byteLength + scales.data.byteLength,
    });
    weights.set(weight.name, names);
    return names;
  };

  /** The nodes that quantize an activation, the first time. */
  const quantize = (input: string, width: number): [Activation, readonly Node[]] => {
    const known = activations.get(input);
    if (known) return [known, []];
    const quantized = [fresh(`${input}_quantized`), fresh(`${input}_scale`), fresh(`${input}_zero_point`)] as const;
    const channels = outliers.get(input);
    if (!channels) {
      const activation = { quantized };
      activations.set(input, activation);
      return [activation, [standardNode('DynamicQuantizeLinear', [input], quantized)]];
    }
    const [mask, indices] = [fresh(`${input}_mask`), fresh(`${input}_channels`)];
    const ones = new Float32Array(width).fill(1);
    for (const channel of channels) ones[channel] = 0;
    initializers.set(mask, tensor('float32', [width], ones));
    initializers.set(indices, tensor('int64', [channels.length], BigInt64Array.from(channels, BigInt)));
    const [rest, values] = [fresh(`${input}_rest`), fresh(`${input}_outliers`)];
    const activation = { quantized, outliers: { values, channels } };
    activations.set(input, activation);
    const nodesOfInput = [
      standardNode('Mul', [input, mask], [rest]),
      standardNode('DynamicQuantizeLinear', [rest], quantized),
      standardNode('Gather', [input, indices], [values], { axis: { type: 'int', value: -1 } }),
    ];
    return [activation, nodesOfInput];
  };

  /** W_S, once for each weight and S. */
  const storeOutliers = (weight: LinearWeight, channels: readonly number[]): string => {
    const key = `${weight.name} ${channels.join()}`;
    const known = outlierWeights.get(key);
    if (known !== undefined) return known;
    const name = fresh(`${weight.name}_outliers`);
    const value = rowsOf(weight, channels);
    initializers.set(name, value);
    outlierWeights.set(key, name);
    const { as, bytesAfter, ...rest } = tensors.get(weight.name) as QuantizedTensor;
    const detail = `${channels.length} outlier channels in float32`;
    tensors.set(weight.name, { ...rest, as: `${as}, ${detail}`, bytesAfter: bytesAfter + value.data.byteLength });
    return name;
  };

  for (const { node, input, weight, bias, add } of layers) {
    const { codes, scales } = weights.get(weight.name) ?? store(weight);
    const [activation, quantizing] = quantize(input, rowCount(weight));
    const [codesOfInput, scaleOfInput, zeroOfInput] = activation.quantized;
    const made = node.outputs[0] as string;
    const [sum, cast, scale] = [fresh(`${made}_int32`), fresh(`${made}_float`), fresh(`${made}_scale`)];
    const addends = bias === undefined ? [] : [bias];
    const separate: Node[] = [];
    if (activation.outliers) {
      const { values, channels } = activation.outliers;
      const product = fresh(`${made}_outliers`);
      separate.push(standardNode('MatMul', [values, storeOutliers(weight, channels)], [product]));
      addends.push(product);
    }
    const output = (add ?? node).outputs[0] as string;
    // Where the bias is that of an Add, the product keeps its name.
    const product = add ? made : addends.length > 0 ? fresh(`${made}_product`) : output;
    const core = [
      ...quantizing,
      standardNode('MatMulInteger', [codesOfInput, codes, zeroOfInput], [sum]),
      standardNode('Cast', [sum], [cast], { to: { type: 'int', value: 1 } }),
      standardNode('Mul', [scaleOfInput, scales], [scale]),
      standardNode('Mul', [cast, scale], [product]),
      ...separate,
    ];
    const sums = addAll(product, addends, output, fresh);
    if (add) nodes.set(node, core).set(add, sums);
    else nodes.set(node, [...core, ...sums]);
  }
  return { nodes, initializers, tensors: [...tensors.values()] };
}

/** output = first + each of the others, one after the other. */
function addAll(first: string, others: readonly string[], output: string, fresh: Fresh): Node[] {
  let sum = first;
  return others.map((other, i) => {
    const inputs = [sum, other];
    sum = i === others.length - 1 ? output : fresh(`${output}_sum`);
    return standardNode('Add', inputs, [sum]);
  });
}

/** K of W [K, N]. */
function rowCount(weight: LinearWeight): number {
  return weight.value.data.length / columnsOf(weight);
}

/** Rows of W [K, N], whichever way it is stored. */
function rowsOf(weight: LinearWeight, rows: readonly number[]): Tensor<'float32'> {
  const { value, transposed } = weight;
  const [inputs, columns] = [rowCount(weight), columnsOf(weight)];
  const data = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => {
    for (let n = 0; n < columns; n++)
      data[i * columns + n] = value.data[transposed ? n * inputs + row : row * columns + n] as number;
  });
  return tensor('float32', [rows.length, columns], data);
}
