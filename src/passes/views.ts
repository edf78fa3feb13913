/** Initializers that are another one transposed or reshaped are made from it by a node. */
import { consumers, tensorOf, type Attribute, type Graph, type Model, type Node, type Tensor } from '../graph/index.ts';
import { contentKey, elementsKey, hasWholeBytes, permutation, storedBytes } from './content.ts';
import { withKnownValues } from './dead.ts';

/** An initializer that is made from another one now. */
export interface View {
  readonly name: string;
  readonly base: string;
  /** Of Transpose; undefined for a Reshape. */
  readonly perm?: readonly number[];
}

export interface Viewed {
  readonly graph: Graph;
  readonly views: readonly View[];
}

/** What a node costs in the file and in a reader's attention; LayerNorm and biases of small models are below. */
const smallestView = 1024;
/** Reshape has its shape as an input from this opset on. */
const reshapeFrom = 5;

/**
 * Stores once what is there as itself and transposed or reshaped: the first in graph order stays, a node makes the other
 * under its name. No node is needed where a Gemm reads a transposed matrix: its transB is turned. ONNX Runtime folds
 * such nodes when it loads the model, so they are not run. Initializers of inner graphs, outputs, and what is smaller
 * than 1 KiB stay. The same graph when there is nothing to do.
 */
export function shareViews({ graph, opsets }: Model): Viewed {
  const opset = opsets[''] ?? 0;
  const views = opset === 0 ? [] : findViews(graph).filter(({ perm }) => perm !== undefined || opset >= reshapeFrom);
  if (views.length === 0) return { graph, views };
  const names = newNames(graph);
  const initializers = new Map(graph.initializers);
  let nodes = graph.nodes;
  const makers: Node[] = [];
  for (const { name, base, perm } of views) {
    const { dims } = graph.initializers.get(name) as Tensor;
    initializers.delete(name);
    if (perm) {
      nodes = nodes.map((node) => turnedGemm(node, name, base) ?? node);
      if (isRead({ ...graph, nodes }, name))
        makers.push(makerOf('Transpose', [base], name, { perm: { type: 'ints', value: perm } }));
    } else {
      const shape = names(`${name}_shape`);
      initializers.set(shape, tensorOf('int64', [dims.length], dims));
      makers.push(makerOf('Reshape', [base, shape], name, {}));
    }
  }
  return { graph: withKnownValues({ ...graph, initializers, nodes: [...makers, ...nodes] }), views };
}

function findViews({ initializers, inputs, outputs }: Graph): View[] {
  const border = new Set([...inputs, ...outputs].map(({ name }) => name));
  const candidates = [...initializers].filter(
    ([name, value]) => !border.has(name) && hasWholeBytes(value) && storedBytes(value) >= smallestView,
  );
  const sameSize = groupBy(candidates, ([, { dtype, dims }]) => `${dtype} ${dims.reduce((a, b) => a * b, 1)}`);
  return [...sameSize.values()].flatMap((group) => (group.length > 1 ? viewsAmong(group) : []));
}

function viewsAmong(group: readonly (readonly [string, Tensor])[]): View[] {
  const bases = new Map<string, string>();
  const reshaped: View[] = [];
  const rest = group.filter(([name, value]) => {
    const key = contentKey(value);
    const base = bases.get(key);
    if (base === undefined) bases.set(key, name);
    else reshaped.push({ name, base });
    return base === undefined;
  });
  const needed = new Set(reshaped.map(({ base }) => base));
  const sameElements = groupBy(rest, ([, value]) => elementsKey(value));
  const transposed = [...sameElements.values()].flatMap((tensors) => {
    const kept: (readonly [string, Tensor])[] = [];
    return tensors.flatMap(([name, value]): View[] => {
      for (const [base, other] of needed.has(name) ? [] : kept) {
        const perm = permutation(other, value);
        if (perm) return [{ name, base, perm }];
      }
      kept.push([name, value]);
      return [];
    });
  });
  return [...reshaped, ...transposed];
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
}

/** A Gemm that multiplies by `name`, multiplying by `base`, which is `name` transposed. */
function turnedGemm(node: Node, name: string, base: string): Node | undefined {
  const [a, b, ...rest] = node.inputs as [string, string, ...string[]];
  if (node.opType !== 'Gemm' || node.domain !== '' || b !== name) return undefined;
  const { transB, ...others } = node.attributes;
  const isTurned = transB?.type === 'int' && transB.value !== 0;
  const attributes: Record<string, Attribute> = isTurned ? others : { ...others, transB: { type: 'int', value: 1 } };
  return { ...node, inputs: [a, base, ...rest], attributes };
}

function isRead(graph: Graph, name: string): boolean {
  return consumers(graph).has(name);
}

function makerOf(opType: string, inputs: readonly string[], output: string, attributes: Node['attributes']): Node {
  return { name: output, opType, domain: '', inputs, outputs: [output], attributes };
}

function newNames({ initializers, inputs, nodes }: Graph): (wanted: string) => string {
  const taken = new Set([
    ...inputs.map(({ name }) => name),
    ...initializers.keys(),
    ...nodes.flatMap((node) => node.outputs),
  ]);
  return (wanted) => {
    let name = wanted;
    for (let i = 1; taken.has(name); i++) name = `${wanted}_${i}`;
    taken.add(name);
    return name;
  };
}
