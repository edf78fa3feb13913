/** Shapes of the inner values of a graph, by the inference rules of kdx's own operators. */
import { dtypeCodes, type Attribute, type DType, type Graph, type Model, type Node, type Tensor } from 'kdx/graph';
import { ops, type Value } from 'kdx/ops';
import { statedShapes, type ShapeOf } from './graph-flops.ts';
import { quantizedOutputs } from './quantized-shapes.ts';

/** Of an entry of the operator table, what inference needs. */
interface Inferable {
  readonly attributes: Readonly<Record<string, Attribute['type'] | 'dtype'>>;
  infer(context: {
    readonly inputs: readonly (Value | undefined)[];
    readonly attributes: Readonly<Record<string, unknown>>;
    constant(input: Value): Tensor | undefined;
  }): readonly Pick<Value, 'dtype' | 'shape'>[];
}

/**
 * The shapes that a model states, and for a model that kdx made those that follow, with symbolic dimensions bound. The
 * rules know operators as kdx calls them, so nothing is inferred for a model of another producer.
 */
export function modelShapes(model: Model, bindings: Readonly<Record<string, number>>): ShapeOf {
  const stated = statedShapes(model.graph, bindings);
  if (model.producer.name !== 'kdx') return stated;
  const inferred = inferredValues(model.graph, stated);
  return (name) => stated(name) ?? (inferred.get(name)?.shape as readonly number[] | undefined);
}

function inferredValues(graph: Graph, stated: ShapeOf): Map<string, Value> {
  const values = new Map<string, Value>();
  for (const [name, { dtype, dims }] of graph.initializers) values.set(name, { name, dtype, shape: dims });
  for (const { name, dtype } of graph.inputs) {
    const shape = stated(name);
    if (shape) values.set(name, { name, dtype, shape });
  }
  const constant = ({ name }: Value) => graph.initializers.get(name);
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => values.get(name));
    if (node.inputs.some((name, i) => name !== '' && !inputs[i])) continue;
    const entry = node.domain === '' ? (ops as Readonly<Record<string, unknown>>)[node.opType] : undefined;
    const outputs = entry ? inferred(entry as Inferable) : quantizedOutputs(node, inputs);
    node.outputs.forEach((name, i) => {
      const output = outputs[i];
      if (output) values.set(name, { name, ...output });
    });

    function inferred({ attributes, infer }: Inferable) {
      return infer({ inputs, attributes: attributeValues(node, attributes), constant });
    }
  }
  return values;
}

const dtypes = new Map(Object.entries(dtypeCodes).map(([dtype, code]) => [code, dtype as DType]));

function attributeValues({ attributes }: Node, types: Inferable['attributes']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(attributes).map(([key, { value }]) => [
      key,
      types[key] === 'dtype' ? dtypes.get(value as number) : value,
    ]),
  );
}
