/** What is in an ONNX file. */
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { bytesIn, summarizeGraph, type GraphSummary } from '../classifier/index.ts';
import { fileError, fileExists } from '../files/index.ts';
import { printType, type Graph, type ValueInfo } from '../graph/index.ts';
import { readModel } from '../onnx/index.ts';
import { sharedWeights, type Sharing, type SharedWeight } from '../passes/index.ts';
import { readExportReport } from './export-report.ts';
import { inspectQuantization, type QuantizationInspection, type WeightInspection } from './quantization-inspection.ts';
import { inspectRuntime, type RuntimeInspection } from './runtime-inspection.ts';
import { runtimeNotes } from './runtime-notes.ts';

export interface NamedSize {
  readonly name: string;
  /** Such as `float32[30522,384]`. */
  readonly type: string;
  readonly bytes: number;
}

export interface OnnxInspection extends GraphSummary {
  readonly file: string;
  readonly fileBytes: number;
  /** Data file beside the model. */
  readonly externalData?: { readonly file: string; readonly bytes: number };
  readonly irVersion: number;
  readonly opsets: Readonly<Record<string, number>>;
  readonly producer: string;
  /** Type by name, such as `int64[batch_size,sequence_length]`. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
  /** Bytes that storing equal initializers once would save. */
  readonly foldableBytes: number;
  /** Weights that are stored once and read at several places. */
  readonly shared: Sharing;
  readonly quantization: QuantizationInspection;
  /** Undefined when it was not asked for. */
  readonly runtime?: RuntimeInspection & { readonly notes: readonly string[] };
  readonly largest: readonly NamedSize[];
}

/** Initializers listed by size. */
const mostListed = 5;

export interface InspectOptions {
  /** Whether to look at what ONNX Runtime makes of a file; default true. */
  readonly runtime?: boolean;
}

/** @throws KdxError of readModel */
export async function inspectOnnx(file: string, options: InspectOptions = {}): Promise<OnnxInspection> {
  const { graph, irVersion, opsets, producer } = await readModel(file);
  const summary = summarizeGraph(graph);
  const externalData = await findExternalData(file);
  const quantization = inspectQuantization(graph, await readExportReport(file));
  const runtime = options.runtime === false ? undefined : await inspectRuntime(file, graph);
  return {
    file: basename(file),
    fileBytes: await sizeOf(file),
    ...(externalData && { externalData }),
    irVersion,
    opsets,
    producer: `${producer.name} ${producer.version}`.trim(),
    inputs: typesByName(graph.inputs),
    outputs: typesByName(graph.outputs),
    ...summary,
    foldableBytes: summary.duplicates.reduce((sum, { bytes }) => sum + bytes, 0),
    shared: sharedWith(sharedWeights(graph), quantization.weights),
    quantization,
    ...(runtime && { runtime: { ...runtime, notes: runtimeNotes(quantization, runtime) } }),
    largest: largestInitializers(graph),
  };
}

/** With weights that several nodes read through one node, such as a DequantizeLinear. */
function sharedWith({ weights, savedBytes }: Sharing, read: readonly WeightInspection[]): Sharing {
  const known = new Set(weights.map(({ name }) => name));
  const others = read
    .filter(({ name, nodes }) => nodes.length > 1 && !known.has(name))
    .map(({ name, nodes, bytes }): SharedWeight => ({ name, uses: nodes.length, bytes }));
  const saving = ({ uses, bytes }: SharedWeight) => (uses - 1) * bytes;
  return {
    weights: [...weights, ...others].sort((a, b) => saving(b) - saving(a)),
    savedBytes: others.reduce((sum, weight) => sum + saving(weight), savedBytes),
  };
}

function typesByName(infos: readonly ValueInfo[]): Record<string, string> {
  return Object.fromEntries(infos.map((info) => [info.name, printType(info)]));
}

function largestInitializers({ initializers }: Graph): NamedSize[] {
  return [...initializers]
    .map(([name, value]) => ({
      name,
      type: printType({ dtype: value.dtype, shape: value.dims }),
      bytes: bytesIn(value),
    }))
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, mostListed);
}

/** By the names in use: `model.onnx_data` (Optimum, transformers.js, kdx), `model.onnx.data` (PyTorch). */
async function findExternalData(file: string): Promise<{ file: string; bytes: number } | undefined> {
  for (const path of [`${file}_data`, `${file}.data`])
    if (await fileExists(path)) return { file: basename(path), bytes: await sizeOf(path) };
  return undefined;
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    throw fileError(error, path);
  }
}
