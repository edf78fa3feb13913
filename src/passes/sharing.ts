/** What a graph shares already: weights that are stored once and read at several places. */
import { elementCount, type Graph, type Tensor } from '../graph/index.ts';
import { storedBytes } from './content.ts';
import { graphsOf } from './inner-graphs.ts';

export interface SharedWeight {
  readonly name: string;
  /** Places that read it, at least 2. */
  readonly uses: number;
  readonly bytes: number;
}

export interface Sharing {
  /** Largest saving first. */
  readonly weights: readonly SharedWeight[];
  /** Bytes that a copy for each use would take beyond what is stored. */
  readonly savedBytes: number;
}

/** Weights (floats and small integers of rank 1 and more) of the outer graph that several nodes read. */
export function sharedWeights(graph: Graph): Sharing {
  const uses = new Map<string, number>();
  for (const { nodes } of graphsOf(graph))
    for (const name of nodes.flatMap((node) => node.inputs)) uses.set(name, (uses.get(name) ?? 0) + 1);
  const weights = [...graph.initializers]
    .map(([name, value]) => ({ name, uses: uses.get(name) ?? 0, bytes: isWeight(value) ? storedBytes(value) : 0 }))
    .filter((weight) => weight.uses > 1 && weight.bytes > 0)
    .sort((a, b) => saving(b) - saving(a));
  return { weights, savedBytes: weights.reduce((sum, weight) => sum + saving(weight), 0) };
}

function saving({ uses, bytes }: SharedWeight): number {
  return (uses - 1) * bytes;
}

function isWeight({ dtype, dims }: Tensor): boolean {
  return dims.length > 0 && elementCount(dims) > 1 && dtype !== 'int64' && dtype !== 'bool' && dtype !== 'string';
}
