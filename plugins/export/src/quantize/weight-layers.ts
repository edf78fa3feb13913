/** Linear layers on float activations whose weights are stored as integers: the two forms that ONNX Runtime knows. */
import { byteLength, type Attribute, type Node, type Tensor } from 'kdx/graph';
import { fittingBlock, int4Tensor, packNBits, roundToBlocks } from './blocks.ts';
import { standardNode } from './graph-rewrite.ts';
import { quantizeColumns } from './int8-columns.ts';
import { columnsOf, type LinearLayer, type LinearWeight } from './linear-layers.ts';
import type { QuantizedLayers } from './quantized-part.ts';
import type { QuantizedTensor } from './quantizer.ts';

/** A weight as it is stored. */
interface StoredWeight {
  readonly codes: Tensor;
  readonly scales: Tensor<'float32'>;
  /** Such as `int8 per channel`. */
  readonly as: string;
  /** DequantizeLinear of codes and scales, once per weight, before MatMul; or MatMulNBits of all three. */
  readonly operator: 'DequantizeLinear' | 'MatMulNBits';
  readonly attributes: Node['attributes'];
}

/** @throws KdxError `not-finite` */
export type WeightForm = (weight: LinearWeight) => StoredWeight;

const int = (value: number): Attribute => ({ type: 'int', value });

/** Standard operators of opset 13: int8 with one scale per output channel. */
export const portable8: WeightForm = (weight) => {
  const { codes, scales } = quantizeColumns(weight, 8);
  return { codes, scales, as: 'int8 per channel', operator: 'DequantizeLinear', attributes: { axis: int(1) } };
};

/** Standard operators of opset 21: int4 with one scale per block of inputs of an output. */
export function portable4(blockSize: number): WeightForm {
  return (weight) => {
    const blocks = roundToBlocks(inputsFirst(weight), { bits: 4, blockSize, axis: 0 }, weight.name);
    return {
      codes: int4Tensor(blocks),
      scales: blocks.scales,
      as: `int4 in blocks of ${blockSize}`,
      operator: 'DequantizeLinear',
      attributes: { axis: int(0), block_size: int(blockSize) },
    };
  };
}

/** com.microsoft.MatMulNBits. @param accuracyLevel 0 unset, 1 float32, 4 int8 activations */
export function nbits(bits: 4 | 8, blockSize: number, accuracyLevel: number): WeightForm {
  return (weight) => {
    const matrix = inputsFirst(weight);
    const [inputs, outputs] = matrix.dims as readonly [number, number];
    const block = fittingBlock(inputs, blockSize);
    const { packed, scales } = packNBits(roundToBlocks(matrix, { bits, blockSize: block, axis: 0 }, weight.name));
    return {
      codes: packed,
      scales,
      as: `int${bits} in blocks of ${block}`,
      operator: 'MatMulNBits',
      attributes: {
        K: int(inputs),
        N: int(outputs),
        bits: int(bits),
        block_size: int(block),
        accuracy_level: int(accuracyLevel),
      },
    };
  };
}

/** The weight as [K, N]. */
function inputsFirst(weight: LinearWeight): Tensor<'float32'> {
  const { value, transposed } = weight;
  if (!transposed) return value;
  const columns = columnsOf(weight);
  const rows = value.data.length / columns;
  const data = new Float32Array(rows * columns);
  for (let n = 0; n < columns; n++)
    for (let k = 0; k < rows; k++) data[k * columns + n] = value.data[n * rows + k] as number;
  return { ...value, dims: [rows, columns], data };
}

/** Stores the weights of layers; layers that share one go on sharing it. */
export function storeWeights(
  layers: readonly LinearLayer[],
  form: WeightForm,
  fresh: (wanted: string) => string,
): QuantizedLayers {
  const initializers = new Map<string, Tensor>();
  const tensors: QuantizedTensor[] = [];
  const nodes = new Map<Node, readonly Node[]>();
  /** The nodes of a layer, x to its product with the weight. */
  const products = new Map<string, (layer: LinearLayer, output: string) => Node[]>();

  const store = ({ name, value }: LinearWeight, stored: StoredWeight) => {
    const { codes, scales, as, operator, attributes } = stored;
    const names = [fresh(`${name}_quantized`), fresh(`${name}_scale`)] as const;
    initializers.set(names[0], codes).set(names[1], scales);
    tensors.push({
      name,
      as,
      bytesBefore: value.data.byteLength,
      bytesAfter: byteLength(codes.dtype, codes.dims) + scales.data.byteLength,
    });
    if (operator === 'MatMulNBits')
      return ({ input }: LinearLayer, output: string): Node[] => [
        {
          name: output,
          opType: operator,
          domain: 'com.microsoft',
          inputs: [input, ...names],
          outputs: [output],
          attributes,
        },
      ];
    const weight = fresh(`${name}_dequantized`);
    let isMade = false;
    return ({ input }: LinearLayer, output: string): Node[] => {
      const product = standardNode('MatMul', [input, weight], [output]);
      if (isMade) return [product];
      isMade = true;
      return [standardNode(operator, names, [weight], attributes), product];
    };
  };

  for (const layer of layers) {
    const { node, weight, bias, add } = layer;
    const product = products.get(weight.name) ?? store(weight, form(weight));
    products.set(weight.name, product);
    const output = node.outputs[0] as string;
    // A Gemm adds its bias itself; the Add behind a MatMul stays where it is.
    if (bias === undefined || add) nodes.set(node, product(layer, output));
    else {
      const unbiased = fresh(`${output}_product`);
      nodes.set(node, [...product(layer, unbiased), standardNode('Add', [unbiased, bias], [output])]);
    }
  }
  return { nodes, initializers, tensors };
}
