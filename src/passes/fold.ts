/** Folding: every weight of a model is stored once. */
import type { DType, Graph, Model } from '../graph/index.ts';
import { constantValue, withConstantInitializers } from './constants.ts';
import { storedBytes } from './content.ts';
import { withoutDead } from './dead.ts';
import { mergeEqual } from './equal.ts';
import { graphsOf } from './inner-graphs.ts';
import { shareViews, type View } from './views.ts';

export interface FoldOptions {
  /** Also store once what is there as itself and transposed or reshaped; default true. */
  readonly views?: boolean;
}

/** A tensor that was stored several times, and is stored once. */
export interface SharedGroup {
  /** The initializer that is left. */
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** Of one copy. */
  readonly bytes: number;
  /** Initializers (and outputs of Constant nodes) with the same content, in graph order. */
  readonly equal: readonly string[];
  /** Those that are made from it by a node now, or by a turned Gemm. */
  readonly transposed: readonly string[];
  readonly reshaped: readonly string[];
  /** What storing it once saves; small tensors that a Reshape needs are not counted. */
  readonly savedBytes: number;
}

export interface FoldReport {
  /** Largest saving first. */
  readonly groups: readonly SharedGroup[];
  /** Bytes of all initializers and constants, those of inner graphs included. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Constant nodes that are initializers now. */
  readonly constants: number;
  /** What no output depended on, constants included. */
  readonly deadNodes: number;
  readonly deadInitializers: number;
}

export interface Folded {
  readonly model: Model;
  readonly report: FoldReport;
}

/**
 * Stores weights of equal dtype, shape and bits once and leaves out what no output depends on. Answers stay the same to
 * the bit. Names of inputs and outputs stay; of equal initializers the first in graph order keeps its name. The same
 * model when there is nothing to do.
 */
export function foldInitializers(model: Model, { views: withViews = true }: FoldOptions = {}): Folded {
  const live = withoutDead(model.graph);
  const plain = withConstantInitializers(live);
  const merged = mergeEqual(plain);
  const { graph, views } = withViews
    ? shareViews({ ...model, graph: merged.graph })
    : { graph: merged.graph, views: [] };
  const [all, kept, bare] = [count(model.graph), count(live), count(plain)];
  const report: FoldReport = {
    groups: describeGroups(merged, views),
    bytesBefore: all.bytes,
    bytesAfter: count(graph).bytes,
    constants: kept.nodes - bare.nodes,
    deadNodes: all.nodes - kept.nodes,
    deadInitializers: all.initializers - kept.initializers,
  };
  return { model: graph === model.graph ? model : { ...model, graph }, report };
}

function count(graph: Graph): { nodes: number; initializers: number; bytes: number } {
  const sizes = { nodes: 0, initializers: 0, bytes: 0 };
  for (const { nodes, initializers } of graphsOf(graph)) {
    sizes.nodes += nodes.length;
    sizes.initializers += initializers.size;
    const constants = nodes.flatMap((node) => constantValue(node) ?? []);
    for (const value of [...initializers.values(), ...constants]) sizes.bytes += storedBytes(value);
  }
  return sizes;
}

function describeGroups({ graph, groups }: ReturnType<typeof mergeEqual>, views: readonly View[]): SharedGroup[] {
  const equal = new Map(groups.map((group) => [group.name, group]));
  const baseOf = new Map(views.map(({ name, base }) => [name, base]));
  const names = new Set([...equal.keys(), ...baseOf.values()].map((name) => baseOf.get(name) ?? name));
  return [...names]
    .map((name): SharedGroup => {
      const value = graph.initializers.get(name) ?? (equal.get(name) as (typeof groups)[number]).value;
      const viewing = views.filter(({ base }) => base === name);
      const copies = [name, ...viewing.map((view) => view.name)].map((copy) => equal.get(copy)?.members ?? [copy]);
      const list = (isTransposed: boolean) =>
        viewing.flatMap((view, i) => ((view.perm !== undefined) === isTransposed ? (copies[i + 1] ?? []) : []));
      const bytes = storedBytes(value);
      return {
        name,
        dtype: value.dtype,
        dims: value.dims,
        bytes,
        equal: copies[0] as readonly string[],
        transposed: list(true),
        reshaped: list(false),
        savedBytes: (copies.flat().length - 1) * bytes,
      };
    })
    .sort((a, b) => b.savedBytes - a.savedBytes);
}
