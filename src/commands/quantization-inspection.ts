/** How the weights of an ONNX file are stored, and what stayed float in a quantized one. */
import type { Graph } from '../graph/index.ts';
import { bytesIn } from '../classifier/index.ts';
import { withConstantInitializers } from '../passes/index.ts';
import type { ExportReport } from './export-report.ts';
import { floatReasons } from './float-reasons.ts';
import { inspectSaturation, type SaturationInspection } from './saturation-inspection.ts';
import { nodeName, operatorOf, weightReads, type Activations, type ReadKind, type WeightRead } from './weight-reads.ts';
import { describeStorage, type Storage } from './weight-storage.ts';

/** A stored weight with every node that reads it. */
export interface WeightInspection extends Storage {
  /** Initializer. */
  readonly name: string;
  /** Of the first node that reads it. */
  readonly kind: ReadKind;
  /** As stored; of a packed weight, in bytes. */
  readonly dims: readonly number[];
  /** Such as `int8 per channel`. */
  readonly as: string;
  /** Of a linear layer. */
  readonly activations?: Activations;
  readonly nodes: readonly string[];
  /** With scales and zero points. */
  readonly bytes: number;
}

/** Weights of one kind that are stored alike. */
export interface WeightGroup {
  readonly kind: ReadKind;
  readonly as: string;
  readonly activations?: Activations;
  /** Nodes that read them. */
  readonly nodes: number;
  readonly weights: number;
  readonly bytes: number;
}

/** A node that stayed float although others are quantized. */
export interface FloatNode {
  readonly node: string;
  readonly opType: string;
  /** Undefined where neither kdx.json nor the graph tells. */
  readonly reason?: string;
  readonly source?: 'kdx.json' | 'graph';
}

export interface QuantizationInspection {
  /** Of kdx quantize, where kdx.json tells it. */
  readonly scheme?: string;
  readonly groups: readonly WeightGroup[];
  readonly weights: readonly WeightInspection[];
  /** Linear layers and tables in float32, and other nodes that kdx.json names; none when nothing is quantized. */
  readonly floatNodes: readonly FloatNode[];
  readonly saturation?: SaturationInspection;
}

export function inspectQuantization(whole: Graph, report: ExportReport | undefined): QuantizationInspection {
  const graph = withConstantInitializers(whole);
  const reads = weightReads(graph);
  const weights = inspectWeights(graph, reads);
  const saturation = inspectSaturation(reads);
  const isReduced = weights.some(({ type }) => type !== 'float32');
  return {
    ...(report && { scheme: report.scheme }),
    groups: groupWeights(weights),
    weights,
    floatNodes: isReduced ? floatNodesOf(graph, reads, report) : [],
    ...(saturation && { saturation }),
  };
}

function inspectWeights(graph: Graph, reads: readonly WeightRead[]): WeightInspection[] {
  const byName = new Map<string, WeightRead[]>();
  for (const read of reads) {
    const known = byName.get(read.weight.name);
    if (known) known.push(read);
    else byName.set(read.weight.name, [read]);
  }
  return [...byName].map(([name, all]) => {
    const { kind, storage, weight, parts, activations } = all[0] as WeightRead;
    return {
      name,
      kind,
      ...storage,
      dims: weight.value.dims,
      as: describeStorage(storage),
      ...(activations && { activations }),
      nodes: all.map(({ node }) => nodeName(node)),
      bytes: parts.reduce((sum, part) => sum + bytesIn(graph.initializers.get(part)!), 0),
    };
  });
}

const kindOrder: readonly ReadKind[] = ['linear', 'correction', 'table'];

/** Linear layers first, then by size. */
function groupWeights(weights: readonly WeightInspection[]): WeightGroup[] {
  const groups = new Map<string, WeightGroup>();
  for (const { kind, as, activations, nodes, bytes } of weights) {
    const key = [kind, as, activations].join();
    const sum = groups.get(key) ?? { kind, as, ...(activations && { activations }), nodes: 0, weights: 0, bytes: 0 };
    groups.set(key, {
      ...sum,
      nodes: sum.nodes + nodes.length,
      weights: sum.weights + 1,
      bytes: sum.bytes + bytes,
    });
  }
  return [...groups.values()].sort(
    (a, b) => kindOrder.indexOf(a.kind) - kindOrder.indexOf(b.kind) || b.bytes - a.bytes,
  );
}

function floatNodesOf(graph: Graph, reads: readonly WeightRead[], report: ExportReport | undefined): FloatNode[] {
  const reasonOf = floatReasons(graph, reads);
  const float = reads.filter(({ kind, storage }) => kind !== 'correction' && storage.type === 'float32');
  const nodes = new Set(float.map(({ node }) => node));
  const named = graph.nodes.filter((node) => {
    const told = report?.reasons.get(nodeName(node));
    return told?.opType === node.opType || nodes.has(node);
  });
  return named.map((node): FloatNode => {
    const name = nodeName(node);
    const told = report?.reasons.get(name);
    const read = float.find((one) => one.node === node);
    const seen = read && reasonOf(read);
    const where = { node: name, opType: operatorOf(node) };
    if (told?.opType === node.opType) return { ...where, reason: told.reason, source: 'kdx.json' };
    return seen === undefined ? where : { ...where, reason: seen, source: 'graph' };
  });
}
