/**
 * A strict walk over the wire format before the protobuf classes see it. They trust lengths and wire types; after this
 * walk every length fits the message around it, every known field has the wire type it must have, and the objects that
 * decoding makes are bounded.
 */
import { corrupt, unsupported } from './faults.ts';

/** A `*` marks a list, which may come packed. `bytes` is text too. */
type Scalar = 'int32' | 'int32*' | 'int64' | 'int64*' | 'float32' | 'float32*' | 'float64*' | 'bytes';
type MessageName =
  | 'Model'
  | 'Graph'
  | 'Node'
  | 'Attribute'
  | 'Tensor'
  | 'SparseTensor'
  | 'Segment'
  | 'ValueInfo'
  | 'Type'
  | 'TensorType'
  | 'TypeOf'
  | 'MapType'
  | 'Shape'
  | 'Dimension'
  | 'OperatorSet'
  | 'Entry'
  | 'Annotation'
  | 'Training'
  | 'Function';
type Kind = Scalar | MessageName;

/** Field numbers by kind: every field that the protobuf classes decode. */
const fieldNumbers: Readonly<Record<MessageName, { readonly [K in Kind]?: readonly number[] }>> = {
  Model: {
    int64: [1, 5],
    bytes: [2, 3, 4, 6],
    Graph: [7],
    OperatorSet: [8],
    Entry: [14],
    Training: [20],
    Function: [25],
  },
  Graph: { Node: [1], bytes: [2, 10], Tensor: [5], ValueInfo: [11, 12, 13], Annotation: [14], SparseTensor: [15] },
  Node: { bytes: [1, 2, 3, 4, 6, 7], Attribute: [5] },
  Attribute: {
    bytes: [1, 4, 9, 13, 21],
    int32: [20],
    int64: [3],
    float32: [2],
    'int64*': [8],
    'float32*': [7],
    Tensor: [5, 10],
    Graph: [6, 11],
    SparseTensor: [22, 23],
    Type: [14, 15],
  },
  Tensor: {
    bytes: [6, 8, 9, 12],
    int32: [2, 14],
    'int32*': [5],
    'int64*': [1, 7, 11],
    'float32*': [4],
    'float64*': [10],
    Segment: [3],
    Entry: [13],
  },
  SparseTensor: { Tensor: [1, 2], 'int64*': [3] },
  Segment: { int64: [1, 2] },
  ValueInfo: { bytes: [1, 3], Type: [2] },
  Type: { TensorType: [1, 8], TypeOf: [4, 9], MapType: [5], bytes: [6] },
  TensorType: { int32: [1], Shape: [2] },
  TypeOf: { Type: [1] },
  MapType: { int32: [1], Type: [2] },
  Shape: { Dimension: [1] },
  Dimension: { int64: [1], bytes: [2, 3] },
  OperatorSet: { bytes: [1], int64: [2] },
  Entry: { bytes: [1, 2] },
  Annotation: { bytes: [1], Entry: [2] },
  Training: { Graph: [1, 2], Entry: [3, 4] },
  Function: { bytes: [1, 4, 5, 6, 8, 10], Node: [7], OperatorSet: [9] },
};

const kindsOf = new Map(
  Object.entries(fieldNumbers).map(([message, fields]) => [
    message,
    new Map(Object.entries(fields).flatMap(([kind, numbers]) => numbers.map((field) => [field, kind] as const))),
  ]),
);

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** Nesting that protobuf's reference implementation allows. */
const MAX_DEPTH = 100;
/** Fields outside raw data and packed numbers; a training graph of BERT-large has about 10^5. */
const MAX_FIELDS = 2 ** 21;
/** Checking a graph copies the names around each subgraph, so many would take quadratic time. */
const MAX_SUBGRAPHS = 256;
/** Bytes of JavaScript memory that typed (not raw) numbers may take: 8 per number, 64 per 64-bit integer. */
const MAX_NUMBER_BYTES = 2 ** 30;

const wireTypes = new Map([
  ['int32', VARINT],
  ['int64', VARINT],
  ['float32', FIXED32],
  ['float64', FIXED64],
]);

/** @throws KdxError `corrupt-onnx` naming the place in the file, `unsupported-onnx` for too many subgraphs */
export function scanModel(bytes: Uint8Array, file: string): void {
  let at = 0;
  let fieldsLeft = MAX_FIELDS;
  let numberBytesLeft = MAX_NUMBER_BYTES;
  let subgraphsLeft = MAX_SUBGRAPHS;

  const fail = (what: string): never => {
    throw corrupt(file, `not an ONNX model, or a damaged one: ${what} at byte ${at} of ${bytes.length}`);
  };
  const spend = (count: number, kind: string) => {
    numberBytesLeft -= count * (kind === 'int64' ? 64 : 8);
    if (numberBytesLeft < 0) fail('more numbers outside raw_data than can be held');
  };
  /** Steps over one varint and returns its length in bytes; the classes misread a 32-bit one of 6 to 9 bytes. */
  const skipVarint = (end: number, kind: string): number => {
    const start = at;
    for (;;) {
      if (at >= end) fail('a number that is cut off');
      if ((bytes[at++] as number) < 128) break;
    }
    const length = at - start;
    if (length > 10 || (kind === 'int32' && length > 5 && length < 10)) fail('a number that is too long');
    return length;
  };
  const readUint32 = (end: number): number => {
    const start = at;
    if (skipVarint(end, 'int64') > 5) fail('a length that is too long');
    let value = 0;
    for (let i = at - 1; i >= start; i--) value = value * 128 + ((bytes[i] as number) & 127);
    if (value > 0xffffffff) fail('a length that is too long');
    return value;
  };
  /** Reads a length and returns where the part ends. */
  const readEnd = (end: number): number => {
    const length = readUint32(end);
    if (length > end - at) fail(`a part of ${length} bytes where ${end - at} are left`);
    return at + length;
  };
  const skipFixed = (size: number, end: number) => {
    if (size > end - at) fail('a number that is cut off');
    at += size;
  };
  const skip = (wire: number, end: number, kind: string) => {
    if (wire === VARINT) skipVarint(end, kind);
    else if (wire === FIXED32) skipFixed(4, end);
    else if (wire === FIXED64) skipFixed(8, end);
    else if (wire === LENGTH) at = readEnd(end);
    else fail(`wire type ${wire}`);
  };
  const scanPacked = (kind: string, end: number) => {
    const stop = readEnd(end);
    const size = kind === 'float32' ? 4 : kind === 'float64' ? 8 : 0;
    if (size > 0) {
      if ((stop - at) % size !== 0) fail('a list of numbers that is cut off');
      spend((stop - at) / size, kind);
      at = stop;
    } else {
      let count = 0;
      for (; at < stop; count++) skipVarint(stop, kind);
      spend(count, kind);
    }
  };
  const scanMessage = (message: string, kinds: ReadonlyMap<number, string>, end: number, depth: number) => {
    if (depth > MAX_DEPTH) fail(`more than ${MAX_DEPTH} levels of nesting`);
    while (at < end) {
      if (fieldsLeft-- === 0) fail(`more than ${MAX_FIELDS} fields`);
      const tag = readUint32(end);
      const field = tag >>> 3;
      const wire = tag & 7;
      if (field === 0) fail('field number 0');
      const kind = kinds.get(field);
      const inner = kind && kindsOf.get(kind);
      const number = kind?.replace('*', '') ?? '';
      const expected = kind === undefined ? wire : (wireTypes.get(number) ?? LENGTH);
      if (message === 'Attribute' && kind === 'Graph' && subgraphsLeft-- === 0)
        throw unsupported(file, `has more than ${MAX_SUBGRAPHS} subgraphs`);
      if (wire === LENGTH && kind?.endsWith('*')) scanPacked(number, end);
      else if (wire !== expected) fail(`field ${field} of ${message} with wire type ${wire}`);
      else if (inner) scanMessage(kind, inner, readEnd(end), depth + 1);
      else skip(wire, end, number);
    }
  };
  scanMessage('Model', kindsOf.get('Model') ?? new Map(), bytes.length, 0);
}
