/** Initializers with equal content become one, across inner graphs too. */
import type { Graph, Tensor } from '../graph/index.ts';
import { contentKey } from './content.ts';
import { withKnownValues } from './dead.ts';
import { graphsOf, mapInnerGraphs } from './inner-graphs.ts';

/** Initializers that became one. */
export interface EqualGroup {
  /** What is left of them. */
  readonly name: string;
  readonly value: Tensor;
  /** In graph order, `name` among them unless it had to be a new one. */
  readonly members: readonly string[];
}

export interface Merged {
  readonly graph: Graph;
  readonly groups: readonly EqualGroup[];
}

interface Member {
  readonly name: string;
  readonly value: Tensor;
  /** Place of its graph in `graphsOf`; 0 is the outer one. */
  readonly scope: number;
  /** An output of a graph, so it stays. */
  readonly pinned: boolean;
}

/** What changes in one graph: names that are read otherwise, and so are no initializers any more. */
type Renames = Map<string, string>;

/**
 * Stores initializers of equal dtype, shape and bits once. An output that is an initializer is kept, the others read the
 * first of their group; a content of several graphs moves to the outer one. The same graph when there is nothing to do.
 */
export function mergeEqual(graph: Graph): Merged {
  const scopes = graphsOf(graph);
  const outerName = outerNames(scopes);
  const renames = scopes.map((): Renames => new Map());
  const hoisted = new Map<string, Tensor>();
  const groups: EqualGroup[] = [];
  for (const members of equalMembers(scopes)) {
    const kept = survivor(members);
    const replaced = members.filter((member) => !member.pinned && member !== kept);
    if (replaced.length < (kept ? 1 : 2)) continue;
    const { value, name: first } = members[0] as Member;
    const name = kept ? kept.name : outerName(first, members);
    if (!kept) hoisted.set(name, value);
    for (const member of replaced) (renames[member.scope] as Renames).set(member.name, name);
    const same = members.filter((member) => member === kept || !member.pinned);
    groups.push({ name, value, members: same.map((member) => member.name) });
  }
  if (groups.length === 0) return { graph, groups };
  const { initializers, ...merged } = renamed(graph, renames);
  return { graph: { ...merged, initializers: new Map([...initializers, ...hoisted]) }, groups };
}

/** Groups of two and more, in the order of their first members. */
function equalMembers(scopes: readonly Graph[]): Member[][] {
  const byShape = new Map<string, Member[]>();
  const border = new Set(scopes.flatMap(({ outputs }) => outputs.map(({ name }) => name)));
  scopes.forEach(({ initializers, inputs }, scope) => {
    const overridden = new Set(inputs.map(({ name }) => name));
    for (const [name, value] of initializers)
      if (!overridden.has(name))
        push(byShape, `${value.dtype} ${value.dims.join()}`, { name, value, scope, pinned: border.has(name) });
  });
  return [...byShape.values()].flatMap((candidates) => {
    if (candidates.length < 2) return [];
    const byContent = new Map<string, Member[]>();
    for (const member of candidates) push(byContent, contentKey(member.value), member);
    return [...byContent.values()].filter(({ length }) => length > 1);
  });
}

function push<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}

/** The member that all others can read: in the outer graph, or in the one graph that has them all. */
function survivor(members: readonly Member[]): Member | undefined {
  const [first] = members as [Member];
  const scope = members.every((member) => member.scope === first.scope) ? first.scope : 0;
  const candidates = members.filter((member) => member.scope === scope);
  return candidates.find(({ pinned }) => pinned) ?? candidates[0];
}

/** Finds names in the outer graph for contents that move there. */
function outerNames(scopes: readonly Graph[]): (wanted: string, members: readonly Member[]) => string {
  const definitions = new Map<string, number>();
  const define = (name: string) => definitions.set(name, (definitions.get(name) ?? 0) + 1);
  for (const { inputs, initializers, nodes } of scopes) {
    for (const { name } of inputs) define(name);
    for (const name of initializers.keys()) define(name);
    for (const { outputs } of nodes) outputs.forEach(define);
  }
  return (wanted, members) => {
    const leaving = members.filter(({ name, pinned }) => name === wanted && !pinned).length;
    let name = wanted;
    for (let i = 1; (definitions.get(name) ?? 0) > (name === wanted ? leaving : 0); i++) name = `${wanted}_${i}`;
    define(name);
    return name;
  };
}

/** @param renames of each graph of `graphsOf` */
function renamed(graph: Graph, renames: readonly Renames[]): Graph {
  let scope = 0;
  const change = (inner: Graph, outer: Renames): Graph => {
    const own = renames[scope++] as Renames;
    const all: Renames = new Map([...outer, ...own]);
    const nodes = inner.nodes.map((node) => {
      const changed = mapInnerGraphs(node, (deeper) => change(deeper, all));
      if (!changed.inputs.some((name) => all.has(name))) return changed;
      return { ...changed, inputs: changed.inputs.map((name) => all.get(name) ?? name) };
    });
    const initializers = new Map([...inner.initializers].filter(([name]) => !own.has(name)));
    return withKnownValues({ ...inner, nodes, initializers });
  };
  return change(graph, new Map());
}
