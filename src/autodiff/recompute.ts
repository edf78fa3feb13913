/** Recomputation in the backward pass (gradient checkpointing; Chen et al. 2016, arXiv 1604.06174). */
import { GraphBuilder, type Call, type InputsOf, type OpType, type Value } from '../ops/index.ts';
import type { Graph, Node, ValueInfo } from '../graph/index.ts';

/** Successive calls of one name. */
export interface Segment {
  readonly name: string | undefined;
  readonly calls: readonly Call[];
}

/** A segment that is called twice. */
export interface Recomputed {
  /** What the last call of the forward pass makes. */
  readonly output: Value;
  /** The second value of each value that the segment makes, by name. */
  readonly twice: ReadonlyMap<string, Value>;
  /** The second value of any value that the segment makes or reads. */
  again(value: Value): Value;
}

/** The calls in order, cut where the name changes. */
export function segmentsOf(calls: readonly Call[], nameOf: (call: Call) => string | undefined): Segment[] {
  const segments: { name: string | undefined; calls: Call[] }[] = [];
  for (const call of calls) {
    const name = nameOf(call);
    const last = segments.at(-1);
    if (last && last.name === name) last.calls.push(call);
    else segments.push({ name, calls: [call] });
  }
  return segments;
}

/**
 * Calls a segment once more, not before `after` is there: an executor neither merges both calls (common subexpressions)
 * nor makes the second one early.
 * @param isResident values that are there throughout, such as parameters and constants
 */
export function recomputed(
  g: GraphBuilder,
  { calls }: Segment,
  after: readonly Value[],
  isResident: (value: Value) => boolean,
): Recomputed {
  const never = neverAfter(g, after);
  const [read, twice] = [new Map<string, Value>(), new Map<string, Value>()];
  const again = (value: Value): Value => {
    if (isResident(value)) return value;
    const second = twice.get(value.name) ?? read.get(value.name) ?? held(g, value, never);
    if (!twice.has(value.name)) read.set(value.name, second);
    return second;
  };
  for (const { type, inputs, outputs, attributes } of calls) {
    const made = g.opAll(type, inputs.map((input) => input && again(input)) as unknown as InputsOf<OpType>, attributes);
    outputs.forEach(({ name }, i) => twice.set(name, made[i] as Value));
  }
  return {
    output: calls.at(-1)?.outputs[0] as Value,
    twice,
    again: (value) => twice.get(value.name) ?? read.get(value.name) ?? value,
  };
}

/**
 * The graph in which the backward pass reads second values, with one more reader of each first value in its place: ONNX
 * Runtime fuses operators whose inner values nobody else reads, to kernels that round otherwise, and would do so in the
 * first calls but not in the second ones. What follows a segment waits for these readers, so that nothing is held for them.
 */
export function withReaders(graph: Graph, segments: readonly Recomputed[]): Graph {
  const initializers = new Map(graph.initializers);
  const values = new Map(graph.values);
  const waiting = new Map(
    segments.flatMap((segment) => {
      const { output } = segment;
      const read = readValues(graph, segment).filter(({ name }) => name !== output.name);
      return read.length > 0 ? [[output.name, waitFor(read, output)] as const] : [];
    }),
  );
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const name = node.outputs[0] as string;
    const wait = waiting.get(name);
    if (!wait) return [node];
    for (const [key, value] of wait.initializers) initializers.set(key, value);
    for (const value of [...wait.inputs, ...wait.values.values()]) values.set(value.name, value);
    return [{ ...node, outputs: [freeName(name), ...node.outputs.slice(1)] }, ...wait.nodes];
  });
  return { ...graph, nodes, initializers, values };
}

/** Values of the first calls whose second ones are read by others than the second calls. */
function readValues(graph: Graph, { twice }: Recomputed): ValueInfo[] {
  const seconds = new Map([...twice].map(([first, { name }]) => [name, first]));
  const isSecond = ({ outputs }: Node) => outputs.some((name) => seconds.has(name));
  const names = graph.nodes
    .filter((node) => !isSecond(node))
    .flatMap((node) => node.inputs.map((name) => seconds.get(name)));
  return [...new Set(names)].flatMap((name) => graph.values.get(name ?? '') ?? []);
}

const freeName = (name: string) => `${name}/free`;

/** From the value before, under its other name, to the output, after one element of each value has been read. */
function waitFor(values: readonly ValueInfo[], output: Value): Graph {
  const g = new GraphBuilder(output.dtype as 'float32');
  const read = values.map(({ name, dtype, shape = [] }) => g.input(name, dtype, shape));
  const free = g.input(freeName(output.name), output.dtype, output.shape);
  g.scope(output.name, () => g.output(output.name, held(g, free, neverAfter(g, read))));
  return g.build('wait');
}

/** False, but not known before one element of each value is. */
function neverAfter(g: GraphBuilder, values: readonly Value[]): Value {
  const element = (value: Value) => {
    const axes = value.shape.map((_, axis) => axis);
    if (axes.length === 0) return value;
    const [zeros, ones] = [g.ints(axes.map(() => 0)), g.ints(axes.map(() => 1))];
    return g.op('Slice', [value, zeros, ones, g.ints(axes)]);
  };
  const sum = values.map(element).reduce((a, b) => g.add(a, b));
  const isNegative = g.op('Less', [g.reshape(sum, []), g.scalar(0)]);
  return g.op('And', [isNegative, g.op('Not', [isNegative])]);
}

/** The same bits, read after `never`. The second choice of Where: ONNX Runtime's CPU kernel makes 0 of -0 in the first. */
function held(g: GraphBuilder, value: Value, never: Value): Value {
  return value.dtype === 'bool' ? g.op('And', [value, g.op('Not', [never])]) : g.op('Where', [never, value, value]);
}
