/** How a weight is stored: its element type, and what shares a scale. */
import { elementCount, type Attribute, type Node, type Tensor } from '../graph/index.ts';
import type { StoredConstant } from './stored-constants.ts';

/** What has a scale of its own: the whole tensor, an output of a linear layer, a row of a table, a block. */
export type Granularity = 'tensor' | 'channel' | 'row' | 'block';

export interface Storage {
  /** Such as `float32`, `int8`, `uint8`, `int4`. */
  readonly type: string;
  /** Undefined for floats, and where no scale was found. */
  readonly granularity?: Granularity;
  /** Elements that share a scale, for blocks. */
  readonly blockSize?: number;
}

/** Such as `int8 per channel`, `int4 in blocks of 32`, `float16`. */
export function describeStorage({ type, granularity, blockSize }: Storage): string {
  if (granularity === undefined) return type;
  return granularity === 'block' ? `${type} in blocks of ${blockSize}` : `${type} per ${granularity}`;
}

/**
 * @param scale of the weight, where one was found
 * @param reader node that the weight is an input of
 */
export function storageOf(
  { value, steps }: StoredConstant,
  scale: Tensor | undefined,
  reader: Node,
  kind: 'linear' | 'table',
): Storage {
  const { attributes } = steps.find(({ opType }) => opType === 'DequantizeLinear') ?? reader;
  const type = storedType(value, reader);
  const blockSize = intOf(attributes['block_size']);
  if (blockSize) return { type, granularity: 'block', blockSize };
  if (!scale || /^b?float/.test(type)) return { type };
  const scales = elementCount(scale.dims);
  if (scales === 1) return { type, granularity: 'tensor' };
  return { type, granularity: kind === 'table' && scales === value.dims[0] ? 'row' : 'channel' };
}

/** Codes that are packed into bytes are as wide as the operator says; without zero points they are signed. */
function storedType({ dtype }: Tensor, { opType, inputs, attributes }: Node): string {
  if (opType === 'MatMulBnb4') return intOf(attributes['quant_type']) === 0 ? 'fp4' : 'nf4';
  if (dtype !== 'uint8' || !/^(MatMulNBits|GatherBlockQuantized)$/.test(opType)) return dtype;
  return `${inputs[3] ? 'u' : ''}int${intOf(attributes['bits']) ?? 4}`;
}

function intOf(attribute: Attribute | undefined): number | undefined {
  return attribute?.type === 'int' ? attribute.value : undefined;
}
