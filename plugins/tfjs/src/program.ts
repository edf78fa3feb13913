/** A graph made ready for TensorFlow.js, and run node by node. */
import { ancestors, type Graph, type Node, type Tensor } from 'kdx/graph';
import type { OpType } from 'kdx/ops';
import { attributesOf } from './attributes.ts';
import { held, toTf } from './element-types.ts';
import type { Kernel } from './kernels/kernel.ts';
import { kernels } from './kernels/table.ts';
import type { TensorFlow, TfTensor } from './tensorflow.ts';

/** Opsets in which the operators of the table mean what they mean in 17. */
const opsets = { first: 13, last: 17 };

/** Integer constants up to this many elements are also kept on the host: shapes, axes, pads. */
const SMALL = 64;

export interface Program {
  readonly graph: Graph;
  /**
   * The wanted outputs as tensors of their own. Feeds stay as they are.
   * @param isStopped asked before each node; a run that is stopped throws
   */
  run(feeds: ReadonlyMap<string, TfTensor>, wanted: readonly string[], isStopped: () => boolean): Map<string, TfTensor>;
  dispose(): void;
}

interface Step {
  readonly node: Node;
  compute(inputs: readonly (TfTensor | undefined)[]): readonly TfTensor[];
  /** Values that nothing reads after this step. */
  readonly last: readonly string[];
}

type Compute = Step['compute'];

/** @throws Error that names everything that TensorFlow.js or its kernels do not have */
export function loadProgram(tf: TensorFlow, graph: Graph, opset: number): Program {
  const constants = new Map<string, TfTensor>();
  const known = new WeakMap<TfTensor, readonly number[]>();
  const ints = (value: TfTensor) => known.get(value) ?? Array.from(value.dataSync());
  const computes = new Map<Node, Compute>();
  const wrong: string[] = [];
  const attempt = (what: string, work: () => void) => {
    try {
      work();
    } catch (error) {
      wrong.push(`${what}: ${(error as Error).message}`);
    }
  };

  if (opset < opsets.first || opset > opsets.last)
    wrong.push(`it has opset ${opset}, kernels are for ${opsets.first} to ${opsets.last}`);
  for (const { name, dtype } of [...graph.inputs, ...graph.outputs]) attempt(name, () => held(dtype));
  for (const node of graph.nodes)
    attempt(`${node.opType} ${node.name}`, () => computes.set(node, computeOf(tf, node, ints)));
  for (const [name, tensor] of wrong.length > 0 ? [] : graph.initializers)
    attempt(name, () => constants.set(name, constant(tf, tensor, known)));
  const dispose = () => {
    for (const value of constants.values()) value.dispose();
  };
  if (wrong.length > 0) {
    dispose();
    throw new Error(wrong.join('; '));
  }

  const plans = new Map<string, readonly Step[]>();
  const planFor = (wanted: readonly string[]) => {
    const key = wanted.join('\n');
    const plan = plans.get(key) ?? planOf(graph, wanted, computes);
    plans.set(key, plan);
    return plan;
  };
  return {
    graph,
    dispose,
    run(feeds, wanted, isStopped) {
      const made = new Map<string, TfTensor>();
      const find = (name: string) => made.get(name) ?? feeds.get(name) ?? constants.get(name);
      try {
        for (const step of planFor(wanted)) {
          if (isStopped()) throw new Error('the engine is being closed');
          runStep(tf, step, find, made);
        }
        // What is an input or a constant gets a tensor of its own.
        return new Map(wanted.map((name) => [name, made.get(name) ?? (find(name) as TfTensor).clone()]));
      } catch (error) {
        for (const value of made.values()) value.dispose();
        throw error;
      }
    },
  };
}

function constant(tf: TensorFlow, tensor: Tensor, known: WeakMap<TfTensor, readonly number[]>): TfTensor {
  const value = toTf(tf, tensor);
  if (value.dtype === 'int32' && tensor.data.length <= SMALL) known.set(value, Array.from(value.dataSync()));
  return value;
}

function computeOf(tf: TensorFlow, node: Node, ints: (value: TfTensor) => readonly number[]): Compute {
  if ((node.domain !== '' && node.domain !== 'ai.onnx') || !Object.hasOwn(kernels, node.opType))
    throw new Error('there is no kernel for it');
  const type = node.opType as OpType;
  const kernel = kernels[type] as Kernel<OpType>;
  const attributes = attributesOf(type, node);
  return (inputs) => {
    const result = kernel({ tf, inputs: inputs as never, attributes, ints });
    const outputs = Array.isArray(result) ? (result as readonly TfTensor[]) : [result as TfTensor];
    // TensorFlow.js may hand an input through; its owner disposes that.
    return outputs.map((output) => (inputs.includes(output) ? output.clone() : output));
  };
}

/** The nodes that wanted outputs need, each with what can be disposed after it. */
function planOf(graph: Graph, wanted: readonly string[], computes: ReadonlyMap<Node, Compute>): readonly Step[] {
  const kept = new Set<string>([...wanted, '']);
  const steps: Step[] = [];
  const nodes = ancestors(graph, wanted);
  for (const node of nodes.reverse()) {
    const last = [...new Set([...node.outputs, ...node.inputs])].filter((name) => !kept.has(name));
    for (const name of last) kept.add(name);
    steps.push({ node, compute: computes.get(node) as Compute, last });
  }
  return steps.reverse();
}

function runStep(
  tf: TensorFlow,
  { node, compute, last }: Step,
  find: (name: string) => TfTensor | undefined,
  made: Map<string, TfTensor>,
): void {
  try {
    const inputs = node.inputs.map((name) => (name === '' ? undefined : find(name)));
    const outputs = tf.tidy(() => compute(inputs));
    outputs.forEach((output, i) => {
      const name = node.outputs[i] ?? '';
      if (name === '') output.dispose();
      else made.set(name, output);
    });
  } catch (error) {
    throw new Error(`${node.opType} ${node.name}: ${(error as Error).message}`, { cause: error });
  }
  for (const name of last) {
    made.get(name)?.dispose();
    made.delete(name);
  }
}
