/** What is in an ONNX file. */
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { bytesIn, summarizeGraph, type GraphSummary } from '../classifier/index.ts';
import { fileError, fileExists } from '../files/index.ts';
import { printType, type Graph, type ValueInfo } from '../graph/index.ts';
import { readModel } from '../onnx/index.ts';

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
  readonly largest: readonly NamedSize[];
}

/** Initializers listed by size. */
const mostListed = 5;

/** @throws KdxError of readModel */
export async function inspectOnnx(file: string): Promise<OnnxInspection> {
  const { graph, irVersion, opsets, producer } = await readModel(file);
  const summary = summarizeGraph(graph);
  const externalData = await findExternalData(file);
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
    largest: largestInitializers(graph),
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
