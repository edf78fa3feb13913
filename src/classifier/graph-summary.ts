/** What is in a graph: operators, weights by type and by part of the model, and weights that are there twice. */
import { sha256 } from '../files/index.ts';
import { byteLength, bytesOf, elementCount, type DType, type Graph, type Node, type Tensor } from '../graph/index.ts';

/** Parts of a classifier; `head` is the pooler and what is on top, `other` everything without a parameter's name. */
export type TensorGroup = 'embeddings' | 'encoder' | 'head' | 'other';

export interface Size {
  /** Scalars. */
  readonly parameters: number;
  readonly bytes: number;
}

/** The part of the model that a parameter belongs to, by its name in checkpoints. */
export function groupOf(name: string): TensorGroup {
  if (/(^|\.)embeddings\./.test(name)) return 'embeddings';
  if (/(^|\.)(encoder|transformer)\./.test(name)) return 'encoder';
  return /(^|\.)pooler\.|^(pre_)?classifier\.|^cls\.predictions\./.test(name) ? 'head' : 'other';
}

/** Sizes of the groups that occur, in the order of the model. */
export function sizeByGroup(tensors: Iterable<readonly [string, Tensor]>): Partial<Record<TensorGroup, Size>> {
  const sizes: Record<TensorGroup, Size> = { embeddings: none, encoder: none, head: none, other: none };
  for (const [name, value] of tensors) sizes[groupOf(name)] = plus(sizes[groupOf(name)], value);
  return Object.fromEntries(Object.entries(sizes).filter(([, { bytes }]) => bytes > 0));
}

const none: Size = { parameters: 0, bytes: 0 };

function plus({ parameters, bytes }: Size, value: Tensor): Size {
  return { parameters: parameters + elementCount(value.dims), bytes: bytes + bytesIn(value) };
}

/** Bytes of a tensor's content; strings in UTF-8. */
export function bytesIn(value: Tensor): number {
  if (value.dtype === 'string')
    return (value as Tensor<'string'>).data.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  return byteLength(value.dtype, value.dims);
}

/** Initializers with the same type, shape and content. */
export interface Duplicates {
  readonly names: readonly string[];
  /** That storing it once would save. */
  readonly bytes: number;
}

export interface GraphSummary {
  /** Nodes, those of inner graphs included. */
  readonly nodes: number;
  /** Nodes by operator, most frequent first, with the domain where it is not the standard one. */
  readonly operators: Readonly<Record<string, number>>;
  /** Elements of all stored weights; constants (scalars, 64-bit integers) are left out. */
  readonly parameters: number;
  readonly initializers: number;
  readonly bytes: number;
  readonly bytesByType: Readonly<Partial<Record<DType, number>>>;
  readonly groups: Readonly<Partial<Record<TensorGroup, Size>>>;
  readonly duplicates: readonly Duplicates[];
}

export function summarizeGraph(graph: Graph): GraphSummary {
  const operators = countOperators(graph);
  const bytesByType: Partial<Record<DType, number>> = {};
  for (const value of graph.initializers.values())
    bytesByType[value.dtype] = (bytesByType[value.dtype] ?? 0) + bytesIn(value);
  const equal = equalInitializers(graph);
  const sizeOf = ([name]: readonly string[]) => bytesIn(graph.initializers.get(name as string) as Tensor);
  const weights = [...graph.initializers.values()].filter(isWeight);
  return {
    nodes: Object.values(operators).reduce((sum, count) => sum + count, 0),
    operators,
    parameters: weights.reduce((sum, { dims }) => sum + elementCount(dims), 0),
    initializers: graph.initializers.size,
    bytes: Object.values(bytesByType).reduce((sum, bytes) => sum + bytes, 0),
    bytesByType,
    groups: sizeByGroup(graph.initializers),
    duplicates: equal
      .map((names) => ({ names, bytes: (names.length - 1) * sizeOf(names) }))
      .filter(({ names }) => names.length > 1)
      .sort((a, b) => b.bytes - a.bytes),
  };
}

function isWeight({ dtype, dims }: Tensor): boolean {
  return dims.length > 0 && dtype !== 'int64' && dtype !== 'bool' && dtype !== 'string';
}

/** Nodes by operator, as in `GraphSummary`. */
export function countOperators(graph: Graph): Record<string, number> {
  const counts = new Map<string, number>();
  countNodes(graph.nodes, counts);
  return Object.fromEntries([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
}

function countNodes(nodes: readonly Node[], counts: Map<string, number>): void {
  for (const { opType, domain, attributes } of nodes) {
    const name = domain === '' ? opType : `${domain}.${opType}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const attribute of Object.values(attributes))
      if (attribute.type === 'graph') countNodes(attribute.value.nodes, counts);
  }
}

/** Names of initializers, those of equal content together. */
function equalInitializers(graph: Graph): string[][] {
  const byContent = new Map<string, string[]>();
  for (const [name, value] of graph.initializers) {
    const content = value.dtype === 'string' ? JSON.stringify(value.data) : bytesOf(value);
    const key = `${value.dtype} [${value.dims.join()}] ${sha256(content)}`;
    const names = byContent.get(key);
    if (names) names.push(name);
    else byContent.set(key, [name]);
  }
  return [...byContent.values()];
}
