/**
 * Embedding tables in blocks of 4 or 8 bits, looked up by com.microsoft.GatherBlockQuantized, which dequantizes only the
 * rows that are asked for. (Behind a blocked DequantizeLinear, a Gather would dequantize the whole table at each run.)
 */
import { byteLength, type Node, type Tensor } from 'kdx/graph';
import { int4Tensor, roundToBlocks, uint8Tensor, type BlockOptions } from './blocks.ts';
import type { EmbeddingTable } from './embedding-tables.ts';
import { quantizeRows } from './int8-rows.ts';
import { nameOf } from './linear-layers.ts';
import type { QuantizedPart, TableQuantizer } from './quantized-part.ts';

/** How embedding tables are stored, besides `none`. */
export type TableForm = 'int8' | 'int8-blocks' | 'int4';

/** Tables with fewer rows (token types) gain nothing from blocks. */
const FEWEST_ROWS = 64;

/**
 * `int8`: one scale per row, in standard operators. `int8-blocks`, `int4`: one scale per block, for tables that are only
 * looked up by index; others (positions that are sliced, token types) stay int8 per row.
 * @param blockSize 16 or a larger power of 2; the last block of a row may be shorter
 */
export function tableQuantizer(form: TableForm, blockSize: number): TableQuantizer {
  if (form === 'int8') return quantizeRows;
  const options = { bits: form === 'int4' ? 4 : 8, blockSize, axis: 1 } as const;
  return (table, fresh) =>
    table.lookups.every(({ opType }) => opType === 'Gather') && (table.value.dims[0] as number) >= FEWEST_ROWS
      ? quantizeTableBlocks(table, options, fresh)
      : quantizeRows(table, fresh);
}

function quantizeTableBlocks(
  { name, value, lookups }: EmbeddingTable,
  options: BlockOptions,
  fresh: (wanted: string) => string,
): QuantizedPart {
  const { bits, blockSize } = options;
  const blocks = roundToBlocks(value, options, name);
  const codes = bits === 4 ? int4Tensor(blocks) : uint8Tensor(blocks);
  const [codesName, scalesName] = [fresh(`${name}_quantized`), fresh(`${name}_scale`)];
  const lookup = (node: Node): Node => ({
    name: nameOf(node),
    opType: 'GatherBlockQuantized',
    domain: 'com.microsoft',
    inputs: [codesName, node.inputs[1] as string, scalesName],
    outputs: node.outputs,
    attributes: {
      gather_axis: { type: 'int', value: 0 },
      quantize_axis: { type: 'int', value: 1 },
      block_size: { type: 'int', value: blockSize },
      bits: { type: 'int', value: bits },
    },
  });
  return {
    nodes: new Map(lookups.map((node) => [node, [lookup(node)]])),
    initializers: new Map<string, Tensor>([
      [codesName, codes],
      [scalesName, blocks.scales],
    ]),
    tensor: {
      name,
      as: `int${bits} in blocks of ${blockSize}`,
      bytesBefore: value.data.byteLength,
      bytesAfter: byteLength(codes.dtype, codes.dims) + blocks.scales.data.byteLength,
    },
  };
}
