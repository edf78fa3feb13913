/** Dynamic int8: int8 weights per output channel, uint8 activations quantized as they come, int8 embeddings per row. */
import { z } from 'zod';
import { KdxError } from 'kdx/errors';
import type { Model, Node, Tensor } from 'kdx/graph';
import { constantsOf } from './constants.ts';
import { blockSizeOption } from './blocks.ts';
import type { EmbeddingTable } from './embedding-tables.ts';
import { tableQuantizer } from './embeddings4.ts';
import { freshNames, rewriteGraph } from './graph-rewrite.ts';
import { quantizeLinearLayers } from './int8-linear.ts';
import { nameOf } from './linear-layers.ts';
import { defineQuantizer, type KeptNode } from './quantizer.ts';
import { excludeOption, selectWeights } from './selection.ts';
import { withNeededVersions } from './weight-only.ts';

const options = z.strictObject({
  /** How embedding tables are stored. */
  embeddings: z.enum(['int8', 'int8-blocks', 'int4', 'none']).default('int8'),
  /** Of `int8-blocks` and `int4`. */
  embeddingBlock: blockSizeOption.default(32),
  /** Bits of the weights of linear layers; `auto`: as many as cannot saturate on any processor. */
  weightBits: z.union([z.literal('auto'), z.literal(7), z.literal(8)]).default('auto'),
  /** The classifier on top. */
  head: z.enum(['float', 'int8']).default('float'),
  exclude: excludeOption,
});

/** First opset with DynamicQuantizeLinear. */
const OPSET = 11;

export const int8 = defineQuantizer({
  name: 'int8',
  summary: 'int8 weights per channel, activations quantized at run time: about a quarter of the size, and fast on CPUs',
  fileName: 'model_quantized',
  options,
  quantize(model, { embeddings, embeddingBlock, weightBits, head, exclude }) {
    checkOpset(model);
    const { graph } = model;
    const fresh = freshNames(graph);
    const { layers, tables, kept } = selectWeights(graph, constantsOf(graph), { exclude, keepHead: head === 'float' });
    const linear = quantizeLinearLayers(layers, weightBits, fresh);
    const quantizeTable = embeddings === 'none' ? undefined : tableQuantizer(embeddings, embeddingBlock);
    const parts = quantizeTable ? tables.map((table) => quantizeTable(table, fresh)) : [];
    const nodes = new Map<Node, readonly Node[]>([...parts, linear].flatMap((part) => [...part.nodes]));
    const initializers = new Map<string, Tensor>([...parts, linear].flatMap((part) => [...part.initializers]));
    return {
      model: withNeededVersions({ ...model, graph: rewriteGraph(graph, { nodes, initializers }) }),
      tensors: [...parts.map(({ tensor }) => tensor), ...linear.tensors],
      kept: embeddings === 'none' ? [...kept, ...tables.flatMap(keptLookups)] : kept,
    };
  },
});

function keptLookups({ lookups }: EmbeddingTable): KeptNode[] {
  return lookups.map((node) => ({ node: nameOf(node), opType: node.opType, reason: 'embeddings=none' }));
}

function checkOpset({ opsets }: Model): void {
  const opset = opsets[''] ?? 0;
  if (opset < OPSET)
    throw new KdxError('opset-too-old', `the model is of opset ${opset}; int8 needs ${OPSET} (DynamicQuantizeLinear)`, {
      suggestions: ['export the model again with opset 17'],
    });
}
