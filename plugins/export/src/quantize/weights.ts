/** What the schemes have in common: which weights, embedding tables, and the versions that the result needs. */
import { z } from 'zod';
import type { Graph, Model, Node, Tensor } from 'kdx/graph';
import { blockSizeOption } from './blocks.ts';
import { constantsOf } from './constants.ts';
import type { EmbeddingTable } from './embedding-tables.ts';
import { tableQuantizer, type TableForm } from './embeddings4.ts';
import { freshNames, rewriteGraph } from './graph-rewrite.ts';
import { nameOf } from './linear-layers.ts';
import type { LayerQuantizer } from './quantized-part.ts';
import type { KeptNode, Quantized } from './quantizer.ts';
import { excludeOption, selectWeights } from './selection.ts';

/** Options of every scheme. */
export const commonOptions = {
  /** Elements of a row of an embedding table that share a scale, in int4 and int8-blocks. */
  embeddingBlock: blockSizeOption.default(32),
  exclude: excludeOption,
};

/** Options of every weight-only scheme. */
export const weightOnlyOptions = {
  ...commonOptions,
  /** The classifier on top. */
  head: z.enum(['float', 'quantized']).default('float'),
};

interface WeightOptions {
  readonly embeddings: TableForm | 'none';
  readonly embeddingBlock: number;
  /** `float` leaves the classifier on top alone. */
  readonly head: string;
  readonly exclude: readonly string[];
}

/** @throws KdxError `not-finite`, `unknown-node` */
export function quantizeWeights(model: Model, quantizeLayers: LayerQuantizer, options: WeightOptions): Quantized {
  const { embeddings, embeddingBlock, head, exclude } = options;
  const { graph } = model;
  const fresh = freshNames(graph);
  const { layers, tables, kept } = selectWeights(graph, constantsOf(graph), { exclude, keepHead: head === 'float' });
  const linear = quantizeLayers(layers, fresh);
  const quantizeTable = embeddings === 'none' ? undefined : tableQuantizer(embeddings, embeddingBlock);
  const parts = quantizeTable ? tables.map((table) => quantizeTable(table, fresh)) : [];
  const nodes = new Map<Node, readonly Node[]>([...parts, linear].flatMap((part) => [...part.nodes]));
  const initializers = new Map<string, Tensor>([...parts, linear].flatMap((part) => [...part.initializers]));
  return {
    model: withNeededVersions({ ...model, graph: rewriteGraph(graph, { nodes, initializers }) }),
    tensors: [...parts.map(({ tensor }) => tensor), ...linear.tensors],
    kept: quantizeTable ? kept : [...kept, ...tables.flatMap(keptLookups)],
  };
}

function keptLookups({ lookups }: EmbeddingTable): KeptNode[] {
  return lookups.map((node) => ({ node: nameOf(node), opType: node.opType, reason: 'embeddings=none' }));
}

const MICROSOFT = 'com.microsoft';
/** IR version that brought the 4-bit element types. */
const INT4_IR = 10;

/** With the domain of ONNX Runtime's own operators and the file version of 4-bit tensors, where the graph has them. */
function withNeededVersions(model: Model): Model {
  const { graph, opsets, irVersion } = model;
  return {
    ...model,
    irVersion: hasInt4(graph) ? Math.max(irVersion, INT4_IR) : irVersion,
    opsets: graph.nodes.some(({ domain }) => domain === MICROSOFT) ? { ...opsets, [MICROSOFT]: 1 } : opsets,
  };
}

function hasInt4({ initializers }: Graph): boolean {
  return [...initializers.values()].some(({ dtype }) => dtype === 'int4');
}
