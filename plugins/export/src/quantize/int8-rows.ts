/** Embedding tables as int8 with one scale per row: rows are looked up in both and multiplied, in standard operators. */
import { tensor, type Node, type Tensor } from 'kdx/graph';
import type { EmbeddingTable } from './embedding-tables.ts';
import { standardNode } from './graph-rewrite.ts';
import { largestMagnitude, roundWithScale } from './int8-columns.ts';
import type { QuantizedPart } from './quantized-part.ts';

const FLOAT = { to: { type: 'int', value: 1 } } as const;

/** @throws KdxError `not-finite` */
export function quantizeRows(
  { name, value, lookups }: EmbeddingTable,
  fresh: (wanted: string) => string,
): QuantizedPart {
  const [rows, width] = value.dims as readonly [number, number];
  const codes = new Int8Array(rows * width);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const values = value.data.subarray(row * width, (row + 1) * width);
    const largest = largestMagnitude(values, name);
    scales[row] = roundWithScale(values, largest, 127, codes.subarray(row * width, (row + 1) * width));
  }
  const [codesName, scalesName] = [fresh(`${name}_quantized`), fresh(`${name}_scale`)];
  const lookup = (node: Node): Node[] => {
    const output = node.outputs[0] as string;
    const [taken, scale, cast] = ['int8', 'scale', 'float'].map((part) => fresh(`${output}_${part}`)) as [
      string,
      string,
      string,
    ];
    const from = (table: string, to: string) => ({
      ...node,
      name: to,
      inputs: [table, ...node.inputs.slice(1)],
      outputs: [to],
    });
    return [
      from(codesName, taken),
      from(scalesName, scale),
      standardNode('Cast', [taken], [cast], FLOAT),
      standardNode('Mul', [cast, scale], [output]),
    ];
  };
  return {
    nodes: new Map(lookups.map((node) => [node, lookup(node)])),
    initializers: new Map<string, Tensor>([
      [codesName, tensor('int8', [rows, width], codes)],
      [scalesName, tensor('float32', [rows, 1], scales)],
    ]),
    tensor: {
      name,
      as: 'int8 per row',
      bytesBefore: value.data.byteLength,
      bytesAfter: codes.byteLength + scales.byteLength,
    },
  };
}
