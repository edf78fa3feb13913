/** What ONNX Runtime makes of a file on this processor: which operators it fuses, and what it leaves as it is. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { countOperators } from '../classifier/index.ts';
import { openEngine, processor, type Processor } from '../engine/index.ts';
import type { Graph } from '../graph/index.ts';
import { readModel } from '../onnx/index.ts';
import { nodeName } from './weight-reads.ts';

export interface OptimizedGraph {
  /** Nodes by operator, most frequent first. */
  readonly operators: Readonly<Record<string, number>>;
  /** Operators of which there are more than in the file, as far as they stand for several of the file's. */
  readonly fused: Readonly<Record<string, number>>;
  /** Integer products that run as MatMulInteger, Cast and Mul. */
  readonly unfusedProducts: readonly string[];
  /** Initializers that are turned into floats whole, in every run. */
  readonly dequantizedEachRun: readonly string[];
}

export interface RuntimeInspection {
  readonly processor: Pick<Processor, 'model' | 'architecture' | 'flags'>;
  /** Name and version; undefined when it could not be started. */
  readonly engine?: string;
  /** Undefined when no session could be created. */
  readonly optimized?: OptimizedGraph;
  /** Why not. */
  readonly failure?: string;
}

/** Looks at the graph as optimized for the CPU by a session with default options; nothing is computed with it. */
export async function inspectRuntime(file: string, graph: Graph): Promise<RuntimeInspection> {
  const { model, architecture, flags } = processor();
  const common = { processor: { model, architecture, flags } };
  try {
    const engine = await openEngine({ device: 'cpu', threads: 1 });
    try {
      const optimized = await optimize(file, engine);
      return { ...common, engine: engine.name, optimized: compare(graph, optimized) };
    } catch (error) {
      return { ...common, engine: engine.name, failure: firstLine(error) };
    } finally {
      await engine.close();
    }
  } catch (error) {
    return { ...common, failure: firstLine(error) };
  }
}

async function optimize(file: string, engine: Awaited<ReturnType<typeof openEngine>>): Promise<Graph> {
  const folder = await mkdtemp(join(tmpdir(), 'kdx-'));
  try {
    const optimizedModelPath = join(folder, 'optimized.onnx');
    await (await engine.createSession(resolve(file), { optimizedModelPath })).release();
    return (await readModel(optimizedModelPath)).graph;
  } finally {
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

function firstLine(error: unknown): string {
  return (error as Error).message.split('\n')[0] as string;
}

/** Standard operators that stand for several others too. */
const compound = /^(LayerNormalization|Gelu|Gemm|QLinear\w+|HardSwish)$/;

/** @param before the graph of the file @param after the same as optimized */
export function compare(before: Graph, after: Graph): OptimizedGraph {
  const [old, operators] = [countOperators(before), countOperators(after)];
  const more = Object.entries(operators).map(([name, count]) => [name, count - (old[name] ?? 0)] as const);
  const isCompound = (name: string) => name.includes('.') || compound.test(name);
  const dequantized = after.nodes
    .filter(({ opType, inputs }) => opType === 'DequantizeLinear' && isMatrix(after, inputs[0] as string))
    .map(({ inputs }) => inputs[0] as string);
  return {
    operators,
    fused: Object.fromEntries(more.filter(([name, count]) => count > 0 && isCompound(name))),
    unfusedProducts: after.nodes.filter(({ opType }) => opType === 'MatMulInteger').map(nodeName),
    dequantizedEachRun: [...new Set(dequantized)],
  };
}

function isMatrix({ initializers }: Graph, name: string): boolean {
  return (initializers.get(name)?.dims.length ?? 0) >= 2;
}
