/** Graphs as readonly data, in the words of ONNX. Every transform returns a new one. */
import type { DType, Tensor } from './tensor.ts';

/** A dimension: a size, or the name of a symbolic one (`batch_size`). */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** What is known of a value. `shape` is undefined when even the rank is not known. */
export interface ValueInfo {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape | undefined;
}

/** An attribute with its AttributeProto type. */
export type Attribute =
  | { readonly type: 'int'; readonly value: number }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'tensor'; readonly value: Tensor }
  | { readonly type: 'graph'; readonly value: Graph }
  | { readonly type: 'ints'; readonly value: readonly number[] }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] };

/** One operator call. An omitted optional input or output is the empty string. */
export interface Node {
  readonly name: string;
  readonly opType: string;
  /** '' is the standard domain (also written ai.onnx). */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** Nodes are in topological order. Inputs do not repeat initializers. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  readonly nodes: readonly Node[];
  /** Known types of inner values; inputs, outputs and initializers need not be repeated. */
  readonly values: ReadonlyMap<string, ValueInfo>;
}

/** A graph with what a file needs around it. */
export interface Model {
  readonly graph: Graph;
  readonly irVersion: number;
  /** Opset version by domain ('' is the standard one). */
  readonly opsets: Readonly<Record<string, number>>;
  readonly producer: { readonly name: string; readonly version: string };
  readonly metadata: Readonly<Record<string, string>>;
}

/** IR version and opset of every model that kdx writes (the safest common target; see docs/onnx.md). */
export const IR_VERSION = 8;
export const OPSET = 17;

/** A model around a graph, with the versions that kdx writes. */
export function modelOf(graph: Graph, metadata: Readonly<Record<string, string>> = {}): Model {
  return { graph, irVersion: IR_VERSION, opsets: { '': OPSET }, producer: { name: 'kdx', version: '' }, metadata };
}

/** The same without the inputs that no node reads. */
export function withoutUnreadInputs(graph: Graph): Graph {
  const read = new Set(graph.nodes.flatMap((node) => node.inputs));
  return { ...graph, inputs: graph.inputs.filter(({ name }) => read.has(name)) };
}
