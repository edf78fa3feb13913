/** The protobuf classes of ONNX, and the numbers it gives to element types and attribute types. */
import onnxProto from 'onnx-proto';
import { dtypeCodes, type Attribute, type DType } from '../graph/index.ts';

export type { onnx } from 'onnx-proto';
export const proto = onnxProto.onnx;

/** A message is at most 2 GiB - 1 byte: its lengths are signed 32-bit numbers in the reference implementation. */
export const PROTOBUF_LIMIT = 2 ** 31 - 1;

const dtypes = new Map(Object.entries(dtypeCodes).map(([dtype, code]) => [code, dtype as DType]));

/** The element type of a TensorProto.DataType number; undefined for those kdx does not hold (complex, float8, ...). */
export function dtypeOfCode(code: number): DType | undefined {
  return dtypes.get(code);
}

/** AttributeProto.AttributeType. */
export const attributeCodes: Readonly<Record<Attribute['type'], number>> = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
};
