/**
 * Linear layers on dynamically quantized activations, in the operators that ONNX Runtime fuses to DynamicQuantizeMatMul, or
 * to MatMulIntegerToFloat where several layers read one activation. It looks for Mul(activation scale, weight scale) in
 * this order; the weight's zero point is 0 and left out.
 */
import type { Node, Tensor } from 'kdx/graph';
import { standardNode } from './graph-rewrite.ts';
import { quantizeColumns, type WeightBits } from './int8-columns.ts';
import { columnsOf, type LinearLayer, type LinearWeight } from './linear-layers.ts';
import type { QuantizedLayers } from './quantized-part.ts';
import type { QuantizedTensor } from './quantizer.ts';

type Fresh = (wanted: string) => string;

interface StoredWeight {
  readonly codes: string;
  readonly scales: string;
}

/** The activation's codes, scale and zero point. */
type Activation = readonly [string, string, string];

/** @throws KdxError `not-finite` */
export function quantizeLinearLayers(layers: readonly LinearLayer[], bits: WeightBits, fresh: Fresh): QuantizedLayers {
  const initializers = new Map<string, Tensor>();
  const tensors: QuantizedTensor[] = [];
  const nodes = new Map<Node, readonly Node[]>();
  const weights = new Map<string, StoredWeight>();
  const activations = new Map<string, Activation>();

  const store = (weight: LinearWeight): StoredWeight => {
    const { codes, scales, narrowed } = quantizeColumns(weight, bits);
    const names = { codes: fresh(`${weight.name}_quantized`), scales: fresh(`${weight.name}_scale`) };
    initializers.set(names.codes, codes).set(names.scales, scales);
    const detail = narrowed > 0 ? `, ${narrowed} of ${columnsOf(weight)} below 127 levels` : '';
    tensors.push({
      name: weight.name,
      as: `int8 per channel${detail}`,
      bytesBefore: weight.value.data.byteLength,
      bytesAfter: codes.data.byteLength + scales.data.byteLength,
    });
    weights.set(weight.name, names);
    return names;
  };

  for (const { node, input, weight, bias, add } of layers) {
    const { codes, scales } = weights.get(weight.name) ?? store(weight);
    const known = activations.get(input);
    const activation = known ?? activationNames(input, fresh);
    activations.set(input, activation);
    const [codesOfInput, scaleOfInput, zeroOfInput] = activation;
    const output = node.outputs[0] as string;
    // A Gemm adds its bias itself; the Add behind a MatMul stays where it is.
    const product = bias !== undefined && !add ? fresh(`${output}_product`) : output;
    const [sum, cast, scale] = [fresh(`${output}_int32`), fresh(`${output}_float`), fresh(`${output}_scale`)];
    nodes.set(node, [
      ...(known ? [] : [standardNode('DynamicQuantizeLinear', [input], activation)]),
      standardNode('MatMulInteger', [codesOfInput, codes, zeroOfInput], [sum]),
      standardNode('Cast', [sum], [cast], { to: { type: 'int', value: 1 } }),
      standardNode('Mul', [scaleOfInput, scales], [scale]),
      standardNode('Mul', [cast, scale], [product]),
      ...(product === output ? [] : [standardNode('Add', [product, bias as string], [output])]),
    ]);
    if (add) nodes.set(add, [{ ...add, inputs: [product, bias as string] }]);
  }
  return { nodes, initializers, tensors };
}

function activationNames(input: string, fresh: Fresh): Activation {
  return [fresh(`${input}_quantized`), fresh(`${input}_scale`), fresh(`${input}_zero_point`)];
}
