/** Builds a graph operator by operator; the only place that names values. */
import { internal } from '../errors/index.ts';
import {
  ancestors,
  dtypeCodes,
  tensorOf,
  type Attribute,
  type DType,
  type Graph,
  type Node,
  type Shape,
  type Tensor,
  type ValueInfo,
} from '../graph/index.ts';
import type { OpEntry } from './entry.ts';
import type { AttributesOf, InputsOf, OpType } from './signatures.ts';
import { ops } from './table.ts';
import { isStatic, sameShape, type Input, type Value } from './value.ts';

/** One call as recorded, with its values in place of names. */
export interface Call<T extends OpType = OpType> {
  readonly type: T;
  readonly inputs: readonly Input[];
  readonly outputs: readonly Value[];
  readonly attributes: AttributesOf<T>;
}

export class GraphBuilder {
  /** Element type of parameters, activations and scalar constants. */
  readonly float: 'float32' | 'float64';
  readonly #inputs: Value[] = [];
  readonly #initializers = new Map<string, Tensor>();
  readonly #calls: Call[] = [];
  readonly #outputs: Value[] = [];
  /** Names in use, each with the number that the next name made from it may get. */
  readonly #taken = new Map<string, number>();
  readonly #constants = new Map<string, Value>();
  readonly #outputNames = new Map<string, string>();
  #scope = '';

  constructor(float: 'float32' | 'float64' = 'float32') {
    this.float = float;
  }

  /** Calls in the order in which they were made. */
  get calls(): readonly Call[] {
    return this.#calls;
  }

  /** Names made inside start with `name/`. */
  scope<R>(name: string, build: () => R): R {
    const outer = this.#scope;
    this.#scope = `${outer}${name}/`;
    try {
      return build();
    } finally {
      this.#scope = outer;
    }
  }

  input(name: string, dtype: DType, shape: Shape): Value {
    const value = { name: this.#claim(name), dtype, shape };
    this.#inputs.push(value);
    return value;
  }

  /** A named weight inside the graph. */
  initializer(name: string, tensor: Tensor): Value {
    this.#claim(name);
    this.#initializers.set(name, tensor);
    return { name, dtype: tensor.dtype, shape: tensor.dims };
  }

  /** An unnamed constant; equal small constants are made once. */
  constant(tensor: Tensor): Value {
    const key =
      tensor.data.length <= 16
        ? `${tensor.dtype}[${tensor.dims.join()}]${Array.from(tensor.data, literal).join()}`
        : undefined;
    const known = key === undefined ? undefined : this.#constants.get(key);
    if (known) return known;
    const value = { name: this.#unique('const'), dtype: tensor.dtype, shape: tensor.dims };
    this.#initializers.set(value.name, tensor);
    if (key !== undefined) this.#constants.set(key, value);
    return value;
  }

  scalar(value: number, dtype: 'float32' | 'float64' | 'int64' | 'int32' = this.float): Value {
    return this.constant(tensorOf(dtype, [], [value]));
  }

  ints(values: readonly number[]): Value {
    return this.constant(tensorOf('int64', [values.length], values));
  }

  /** Content of a constant or initializer. */
  constantOf(value: Value): Tensor | undefined {
    return this.#initializers.get(value.name);
  }

  /** The first output of an operator. */
  op<T extends OpType>(type: T, inputs: InputsOf<T>, ...attributes: AttributeArgument<T>): Value {
    return this.opAll(type, inputs, ...attributes)[0] as Value;
  }

  /** All outputs of an operator. */
  opAll<T extends OpType>(type: T, inputs: InputsOf<T>, ...[given]: AttributeArgument<T>): readonly Value[] {
    const attributes = given ?? {};
    const entry = ops[type] as unknown as OpEntry<T>;
    const types = entry.infer({ inputs, attributes, constant: (input) => this.constantOf(input) });
    const outputs = types.map((output) => ({ name: this.#unique(type), ...output }));
    this.#calls.push({ type, inputs: inputs, outputs, attributes });
    return outputs;
  }

  // Shorthands for what rules and models write most.
  add(a: Value, b: Value): Value {
    return this.op('Add', [a, b]);
  }
  sub(a: Value, b: Value): Value {
    return this.op('Sub', [a, b]);
  }
  mul(a: Value, b: Value): Value {
    return this.op('Mul', [a, b]);
  }
  div(a: Value, b: Value): Value {
    return this.op('Div', [a, b]);
  }
  /** x times a constant. */
  scale(x: Value, factor: number): Value {
    return factor === 1 ? x : this.mul(x, this.scalar(factor));
  }
  sum(x: Value, axes: readonly number[], keepdims = 0): Value {
    return this.op('ReduceSum', [x, this.ints(axes)], { keepdims });
  }
  /** Sum of all elements, as a scalar. */
  total(x: Value): Value {
    return this.sum(
      x,
      x.shape.map((_, axis) => axis),
    );
  }
  /** A dimension may be 0 (as in x) or -1 (what remains). */
  reshape(x: Value, shape: readonly number[]): Value {
    return sameShape(x.shape, shape) ? x : this.op('Reshape', [x, this.ints(shape)]);
  }
  transpose(x: Value, perm: readonly number[]): Value {
    return this.op('Transpose', [x], { perm });
  }
  /** Zeros of a static shape. */
  zeros(shape: readonly number[], dtype: 'float32' | 'float64' = this.float): Value {
    return this.op('ConstantOfShape', [this.ints(shape)], { value: tensorOf(dtype, [1], [0]) });
  }

  /** Makes a value a graph output; the value that an operator made takes this name. */
  output(name: string, value: Value): void {
    this.#claim(name);
    const isComputed = !this.#initializers.has(value.name) && !this.#inputs.includes(value);
    const source = isComputed && !this.#outputNames.has(value.name) ? value : this.op('Identity', [value]);
    this.#outputNames.set(source.name, name);
    this.#outputs.push({ ...source, name });
  }

  /** The graph of everything that the outputs depend on, with the types of inner values whose shape is static. */
  build(name: string): Graph {
    const nodes = this.#calls.map((call) => toNode(call, this.#outputNames));
    const all: Graph = {
      name,
      inputs: this.#inputs.map(toInfo),
      outputs: this.#outputs.map(toInfo),
      initializers: this.#initializers,
      nodes,
      values: new Map(),
    };
    const kept = ancestors(
      all,
      this.#outputs.map((output) => output.name),
    );
    const read = new Set(kept.flatMap((node) => node.inputs));
    const initializers = new Map([...this.#initializers].filter(([key]) => read.has(key)));
    const made = new Set(kept.flatMap((node) => node.outputs));
    const inner = this.#calls
      .flatMap((call) => call.outputs)
      .filter(({ name, shape }) => made.has(name) && isStatic(shape));
    return { ...all, nodes: kept, initializers, values: new Map(inner.map((value) => [value.name, toInfo(value)])) };
  }

  #unique(type: string): string {
    const base = `${this.#scope}${type}`;
    let count = this.#taken.get(base) ?? 0;
    let name = base;
    while (this.#taken.has(name)) name = `${base}_${count++}`;
    this.#taken.set(base, count).set(name, 1);
    return name;
  }

  #claim(name: string): string {
    if (this.#taken.has(name)) throw internal(`the name ${name} is used twice`);
    this.#taken.set(name, 1);
    return name;
  }
}

type AttributeArgument<T extends OpType> =
  Record<never, never> extends AttributesOf<T> ? [attributes?: AttributesOf<T>] : [attributes: AttributesOf<T>];

/** -0 and 0 are different constants. */
function literal(value: unknown): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function toInfo(value: Value): ValueInfo {
  return { name: value.name, dtype: value.dtype, shape: value.shape };
}

function toNode(call: Call, outputNames: ReadonlyMap<string, string>): Node {
  const nameOf = (value: Input) => (value ? (outputNames.get(value.name) ?? value.name) : '');
  const types = ops[call.type].attributes as Readonly<Record<string, Attribute['type'] | 'dtype'>>;
  const attributes: Record<string, Attribute> = {};
  for (const [key, value] of Object.entries(call.attributes)) {
    if (value === undefined) continue;
    const type = types[key];
    if (type === undefined) throw internal(`${call.type} has no attribute ${key}`);
    attributes[key] = type === 'dtype' ? { type: 'int', value: dtypeCodes[value as DType] } : { type, value };
  }
  return {
    name: call.outputs[0]?.name ?? '',
    opType: call.type,
    domain: '',
    inputs: call.inputs.map(nameOf),
    outputs: call.outputs.map(nameOf),
    attributes,
  };
}
