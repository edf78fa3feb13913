/** Parts of a graph in their quantized form, with the nodes that read them. */
import type { EmbeddingTable } from './embedding-tables.ts';
import type { Rewrite } from './graph-rewrite.ts';
import type { LinearLayer } from './linear-layers.ts';
import type { QuantizedTensor } from './quantizer.ts';

export interface QuantizedPart extends Rewrite {
  readonly tensor: QuantizedTensor;
}

/** All linear layers; a shared weight is one tensor. */
export interface QuantizedLayers extends Rewrite {
  readonly tensors: readonly QuantizedTensor[];
}

/** A form of linear layers. @param fresh gives out names that are free in the graph */
export type LayerQuantizer = (layers: readonly LinearLayer[], fresh: (wanted: string) => string) => QuantizedLayers;

/** A storage form of embedding tables. @param fresh gives out names that are free in the graph */
export type TableQuantizer = (table: EmbeddingTable, fresh: (wanted: string) => string) => QuantizedPart;
