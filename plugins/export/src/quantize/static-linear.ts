/**
 * Linear layers between QuantizeLinear and DequantizeLinear: uint8 activations with a scale that is known beforehand, int8
 * weights per output channel; the product stays float, so that its range does not matter. ONNX Runtime turns MatMul into
 * MatMulIntegerToFloat. Of a matrix of activations it first makes Gemm of MatMul and Add, and would then dequantize the
 * weight at each run, unless the bias is int32 and the weight has zero points: then it is a QGemm.
 */
import { numbersOf, tensor, type Node, type Tensor } from 'kdx/graph';
import type { ActivationRange, Range } from '../calibrate/index.ts';
import { standardNode } from './graph-rewrite.ts';
import { columnsOf, type LinearLayer, type LinearWeight } from './linear-layers.ts';
import type { Constants } from './constants.ts';
import type { Int8Columns } from './int8-columns.ts';
import type { QuantizedLayers } from './quantized-part.ts';
import type { QuantizedTensor } from './quantizer.ts';

/** x ≈ (code - zero point) · scale, for codes 0 to 255. */
export interface ActivationScale {
  readonly scale: number;
  readonly zeroPoint: number;
}

const LARGEST_CODE = 255;
/** A scale below it may be flushed to zero. */
const SMALLEST_NORMAL = 2 ** -126;

/** @param range with zero in it, which is met exactly */
export function activationScale({ low, high }: Range): ActivationScale {
  const scale = Math.fround((high - low) / LARGEST_CODE);
  if (scale < SMALLEST_NORMAL) return { scale: 1, zeroPoint: 0 };
  return { scale, zeroPoint: Math.max(0, Math.min(LARGEST_CODE, Math.round(-low / scale))) };
}

type Fresh = (wanted: string) => string;

export interface StaticOptions {
  /** Of the inputs of the layers. */
  readonly ranges: ReadonlyMap<string, ActivationRange>;
  /** Of a weight. */
  readonly columns: (weight: LinearWeight) => Int8Columns;
  /** Of the graph of the layers. */
  readonly constants: Constants;
}

/** @param fresh gives out names that are free in the graph */
export function quantizeStaticLayers(
  layers: readonly LinearLayer[],
  { ranges, columns, constants }: StaticOptions,
  fresh: Fresh,
): QuantizedLayers {
  const initializers = new Map<string, Tensor>();
  const tensors: QuantizedTensor[] = [];
  const nodes = new Map<Node, readonly Node[]>();
  /** Names of dequantized weights and activations, by what they were made of. */
  const dequantized = new Map<string, string>();

  const storeWeight = (weight: LinearWeight): Node[] => {
    const { codes, scales, narrowed } = columns(weight);
    const [codesName, scalesName] = [fresh(`${weight.name}_quantized`), fresh(`${weight.name}_scale`)];
    const [zerosName, output] = [fresh(`${weight.name}_zero_point`), fresh(`${weight.name}_dequantized`)];
    const zeros = tensor('int8', scales.dims, new Int8Array(scales.data.length));
    initializers.set(codesName, codes).set(scalesName, scales).set(zerosName, zeros);
    dequantized.set(weight.name, output);
    const detail = narrowed > 0 ? `, ${narrowed} of ${columnsOf(weight)} below 127 levels` : '';
    tensors.push({
      name: weight.name,
      as: `int8 per channel${detail}`,
      bytesBefore: weight.value.data.byteLength,
      bytesAfter: codes.data.byteLength + scales.data.byteLength + zeros.data.byteLength,
    });
    return [standardNode('DequantizeLinear', [codesName, scalesName, zerosName], [output], axis(1))];
  };

  const quantizeActivation = (input: string): Node[] => {
    const { scale, zeroPoint } = activationScale(ranges.get(input) as Range);
    const parameters = [fresh(`${input}_scale`), fresh(`${input}_zero_point`)] as const;
    const [codes, output] = [fresh(`${input}_quantized`), fresh(`${input}_dequantized`)];
    initializers.set(parameters[0], tensor('float32', [], Float32Array.of(scale)));
    initializers.set(parameters[1], tensor('uint8', [], Uint8Array.of(zeroPoint)));
    dequantized.set(input, output);
    return [
      standardNode('QuantizeLinear', [input, ...parameters], [codes]),
      standardNode('DequantizeLinear', [codes, ...parameters], [output]),
    ];
  };

  /** A dequantized bias, where it can be one: its name and its node. */
  const storeBias = ({ input, weight, bias }: LinearLayer): [string, Node] | undefined => {
    const value = bias === undefined ? undefined : constants.of(bias)?.value;
    if (value?.dtype !== 'float32') return undefined;
    const { scale } = activationScale(ranges.get(input) as Range);
    const quantized = quantizeBias(numbersOf(value), scale, columns(weight).scales.data);
    if (!quantized) return undefined;
    const [codesName, scalesName] = [fresh(`${bias}_quantized`), fresh(`${bias}_scale`)];
    const output = fresh(`${bias}_dequantized`);
    initializers.set(codesName, quantized.codes).set(scalesName, quantized.scales);
    return [output, standardNode('DequantizeLinear', [codesName, scalesName], [output], axis(0))];
  };

  for (const layer of layers) {
    const { node, input, weight, bias, add } = layer;
    const before = [
      ...(dequantized.has(input) ? [] : quantizeActivation(input)),
      ...(dequantized.has(weight.name) ? [] : storeWeight(weight)),
    ];
    const operands = [dequantized.get(input) as string, dequantized.get(weight.name) as string];
    const made = node.outputs[0] as string;
    const storedBias = ranges.get(input)?.rank === 2 ? storeBias(layer) : undefined;
    if (storedBias) {
      const [name, dequantize] = storedBias;
      const output = (add ?? node).outputs[0] as string;
      nodes.set(node, [...before, dequantize, standardNode('Gemm', [...operands, name], [output])]);
      if (add) nodes.set(add, []);
    } else {
      // A Gemm adds its bias itself; the Add behind a MatMul stays where it is.
      const product = bias !== undefined && !add ? fresh(`${made}_product`) : made;
      nodes.set(node, [
        ...before,
        standardNode('MatMul', operands, [product]),
        ...(product === made ? [] : [standardNode('Add', [product, bias as string], [made])]),
      ]);
    }
  }
  return { nodes, initializers, tensors };
}

function axis(value: number): Node['attributes'] {
  return { axis: { type: 'int', value } };
}

/** As int32 in units of the sums of products; undefined where it is not one number per column, or does not fit. */
function quantizeBias(
  bias: readonly number[],
  activation: number,
  weights: Float32Array,
): { codes: Tensor<'int32'>; scales: Tensor<'float32'> } | undefined {
  const scales = weights.map((scale) => activation * scale);
  const codes = bias.map((value, column) => Math.round(value / (scales[column] as number)));
  if (bias.length !== scales.length || !codes.every((code) => Math.abs(code) < 2 ** 30)) return undefined;
  return {
    codes: tensor('int32', [codes.length], Int32Array.from(codes)),
    scales: tensor('float32', [scales.length], scales),
  };
}
