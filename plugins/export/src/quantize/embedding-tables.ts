/** Embedding tables of any graph: constant matrices of which rows are looked up. */
import type { Attribute, Graph, Node, Tensor } from 'kdx/graph';
import { numbersOf } from 'kdx/graph';
import { constantsOf, type Constants } from './constants.ts';

/** A table [rows, width] and every node that takes rows of it. */
export interface EmbeddingTable {
  /** Initializer. */
  readonly name: string;
  readonly value: Tensor<'float32'>;
  /** Gather along axis 0, or Slice of axis 0 alone (the positions of kdx's own graphs); the table is input 0. */
  readonly lookups: readonly Node[];
}

/** In graph order of the first lookup. */
export function findEmbeddingTables(graph: Graph, constants: Constants = constantsOf(graph)): EmbeddingTable[] {
  const tables = new Map<string, EmbeddingTable & { lookups: Node[] }>();
  for (const node of graph.nodes) {
    if (!takesRows(node, constants)) continue;
    const constant = constants.of(node.inputs[0] as string);
    if (constant?.value.dtype !== 'float32' || constant.value.dims.length !== 2 || constant.transposed) continue;
    const table = tables.get(constant.source);
    if (table) table.lookups.push(node);
    else
      tables.set(constant.source, {
        name: constant.source,
        value: constant.value as Tensor<'float32'>,
        lookups: [node],
      });
  }
  return [...tables.values()];
}

function takesRows({ domain, opType, inputs, attributes }: Node, constants: Constants): boolean {
  if (domain !== '') return false;
  if (opType === 'Gather') return axisOf(attributes['axis']) === 0;
  if (opType !== 'Slice' || !inputs[3]) return false;
  const axes = constants.of(inputs[3])?.value;
  return axes !== undefined && numbersOf(axes).join() === '0';
}

function axisOf(attribute: Attribute | undefined): number {
  return attribute?.type === 'int' ? attribute.value : 0;
}
