/** float16 weights, computed with in float16 or only stored; inputs and outputs keep their types. */
import { z } from 'zod';
import { dtypeCodes, readsOf, type Graph, type Node, type Tensor, type ValueInfo } from 'kdx/graph';
import { constantsOf } from './constants.ts';
import { toFloat16 } from './float16.ts';
import { float32Reasons, floatInputs, isTypeless, placeNodes, type Placement } from './fp16-placement.ts';
import { freshNames, standardNode } from './graph-rewrite.ts';
import { nameOf } from './linear-layers.ts';
import { defineQuantizer, type KeptNode, type QuantizedTensor } from './quantizer.ts';

export const fp16 = defineQuantizer({
  name: 'fp16',
  summary: 'float16 weights: half the size; for WebGPU and storage, no faster on CPUs',
  fileName: 'model_fp16',
  options: z.strictObject({
    /** `float32`: float16 is only how weights are stored. */
    compute: z.enum(['float16', 'float32']).default('float16'),
  }),
  quantize(model, { compute }) {
    const { graph } = model;
    const matrices = new Set([...graph.initializers].filter(([, value]) => isMatrix(value)).map(([name]) => name));
    const placement = placeNodes(graph, constantsOf(graph), matrices, compute);
    const rewritten = rewrite(graph, placement, matrices);
    return {
      model: { ...model, graph: rewritten.graph },
      tensors: rewritten.tensors,
      kept: compute === 'float16' ? graph.nodes.flatMap((node) => keptNode(node, placement)) : [],
    };
  },
});

/** Weights and tables. Vectors and scalars (biases, norms, constants of formulas) are float16 only where they have to be. */
function isMatrix({ dtype, dims }: Tensor): boolean {
  return dtype === 'float32' && dims.filter((dim) => dim > 1).length >= 2;
}

function keptNode(node: Node, { floats }: Placement): KeptNode[] {
  const reason = node.domain === '' ? float32Reasons.get(node.opType) : undefined;
  if (reason === undefined || !floats.has(node.outputs[0] as string)) return [];
  return [{ node: nameOf(node), opType: node.opType, reason }];
}

/** Puts a Cast where a value passes from one type to the other, once per value and direction. */
function rewrite(graph: Graph, { float16 }: Placement, matrices: ReadonlySet<string>) {
  const fresh = freshNames(graph);
  const nodes: Node[] = [];
  const halves = new Map<string, Tensor>();
  const infos: ValueInfo[] = [];
  /** Names of values as float16. */
  const halfNames = new Map<string, string>();
  /** Values whose original name does not exist (yet): made or stored as float16. */
  const onlyHalf = new Set<string>(matrices);

  const nameHalf = (name: string): string => {
    const half = fresh(`${name}_float16`);
    halfNames.set(name, half);
    const info = graph.values.get(name);
    if (info) infos.push({ ...info, name: half, dtype: 'float16' });
    return half;
  };
  // The node that made a value may be named like it.
  const cast = (from: string, to: string, dtype: 'float16' | 'float32') =>
    nodes.push({
      ...standardNode('Cast', [from], [to], { to: { type: 'int', value: dtypeCodes[dtype] } }),
      name: fresh(`${to}_cast`),
    });
  const asHalf = (name: string): string => {
    const known = halfNames.get(name);
    if (known !== undefined) return known;
    const half = nameHalf(name);
    const constant = graph.initializers.get(name);
    if (constant) halves.set(half, toFloat16(constant as Tensor<'float32'>));
    else cast(name, half, 'float16');
    return half;
  };
  const asFloat = (name: string): string => {
    if (onlyHalf.delete(name)) cast(asHalf(name), name, 'float32');
    return name;
  };

  for (const node of graph.nodes) {
    if (float16.has(node)) {
      const data = new Set(floatInputs(node));
      const inputs = node.inputs.map((name) => (data.has(name) ? asHalf(name) : name));
      const outputs = node.outputs.map((name) => (name === '' ? '' : nameHalf(name)));
      node.outputs.forEach((name) => name !== '' && onlyHalf.add(name));
      nodes.push({ ...node, inputs, outputs });
    } else if (isTypeless(node)) {
      nodes.push({ ...node, inputs: node.inputs.map((name) => (onlyHalf.has(name) ? asHalf(name) : name)) });
    } else {
      readsOf(node).forEach(asFloat);
      nodes.push(node);
    }
  }
  for (const { name } of graph.outputs) asFloat(name);

  const read = new Set([...nodes.flatMap(readsOf), ...graph.outputs.map(({ name }) => name)]);
  const made = new Set(nodes.flatMap((node) => node.outputs));
  const floatsLeft = [...graph.initializers].filter(([name]) => read.has(name) && !made.has(name));
  const tensors = [...graph.initializers].flatMap(([name, value]): QuantizedTensor[] => {
    const half = halves.get(halfNames.get(name) ?? '');
    if (!half) return [];
    const bytesBefore = (value as Tensor<'float32'>).data.byteLength;
    const kept = read.has(name) && !made.has(name) ? bytesBefore : 0;
    return [{ name, as: 'float16', bytesBefore, bytesAfter: bytesBefore / 2 + kept }];
  });
  const values = [...graph.values.values(), ...infos].filter(({ name }) => made.has(name));
  return {
    graph: {
      ...graph,
      nodes,
      initializers: new Map([...floatsLeft, ...halves]),
      values: new Map(values.map((info) => [info.name, info])),
    },
    tensors,
  };
}
