/** One weight of a graph in its quantized form, with the nodes that read it. */
import type { EmbeddingTable } from './embedding-tables.ts';
import type { Rewrite } from './graph-rewrite.ts';
import type { QuantizedTensor } from './quantizer.ts';

export interface QuantizedPart extends Rewrite {
  readonly tensor: QuantizedTensor;
}

/** A storage form of embedding tables. @param fresh gives out names that are free in the graph */
export type TableQuantizer = (table: EmbeddingTable, fresh: (wanted: string) => string) => QuantizedPart;
