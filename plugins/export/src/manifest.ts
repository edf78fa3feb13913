/** kdx.json: where an exported folder comes from, what is in it, and how it was checked. Same input, same bytes. */
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { summarizeGraph, type ClassifierSource, type GraphSummary } from 'kdx/classifier';
import { sha256File } from 'kdx/files';
import type { Model } from 'kdx/graph';
import type { CheckedFile } from './checked-file.ts';
import type { Fidelity } from './fidelity.ts';
import type { Parity } from './parity.ts';
import type { QuantizationReport } from './quantization.ts';
import type { RuntimeCheck } from './runtimes/index.ts';
import type { TuningRecord } from './tune/index.ts';

export interface ExportedFile {
  /** From the exported folder, with forward slashes. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** The task's metrics of an exported file on a development set. */
export interface TaskMetrics {
  readonly task: string;
  readonly examples: number;
  readonly primary: string;
  readonly values: Readonly<Record<string, number>>;
}

/** Content of kdx.json. No time, no path of a machine. */
export interface Manifest {
  readonly format: 1;
  readonly kind: 'export';
  readonly kdx: string;
  readonly source: {
    /** Name of the folder, or the hub id. */
    readonly name: string;
    /** SHA-256 by file name. */
    readonly weights: Readonly<Record<string, string>>;
    /** SHA-256 over everything that decides about token ids. */
    readonly tokenizer: string;
  };
  readonly models: readonly ExportedModel[];
  /** Every file of the folder but this one. */
  readonly files: readonly ExportedFile[];
}

export interface ExportedModel {
  readonly path: string;
  readonly quantization: 'none' | QuantizationReport;
  readonly irVersion: number;
  readonly opset: number;
  readonly operators: GraphSummary['operators'];
  /** Each stored tensor counted once. */
  readonly parameters: number;
  readonly groups: GraphSummary['groups'];
  /** With the checkpoint: of a quantized file, within its limits. */
  readonly parity: Parity | Fidelity;
  /** The same comparison on each runtime, which may take fewer sentences. */
  readonly runtimes: readonly RuntimeCheck[];
  readonly metrics?: TaskMetrics;
  /** The only part that depends on the machine; `kdx/classifier` reads it. */
  readonly tuning?: TuningRecord;
}

export function isManifest(value: unknown): value is Manifest {
  const { kind, files } = (value ?? {}) as Partial<Manifest>;
  return kind === 'export' && Array.isArray(files);
}

/** What kdx.json says of a file and its graph. */
export function describeModel(
  { path, ...checked }: CheckedFile,
  quantization: ExportedModel['quantization'],
  { irVersion, opsets, graph }: Pick<Model, 'irVersion' | 'opsets' | 'graph'>,
): ExportedModel {
  const { operators, parameters, groups } = summarizeGraph(graph);
  return { path, quantization, irVersion, opset: opsets[''] as number, operators, parameters, groups, ...checked };
}

export async function describeSource(source: ClassifierSource): Promise<Manifest['source']> {
  const { dir, tokenizer, isRandom } = source;
  return { name: sourceName(source), weights: isRandom ? {} : await weightHashes(dir), tokenizer: tokenizer.hash };
}

/** Name of the folder, or the hub id. */
export function sourceName({ ref, dir, isRandom }: ClassifierSource): string {
  return isRandom || resolve(ref) !== resolve(dir) ? ref : basename(resolve(dir));
}

/** Hashes of the files that a checkpoint is loaded from: model.safetensors, or else all shards. */
async function weightHashes(dir: string): Promise<Record<string, string>> {
  const single = 'model.safetensors';
  const names = (await readdir(dir)).filter((name) => name.endsWith('.safetensors')).sort();
  const used = names.includes(single) ? [single] : names;
  const hashes: Record<string, string> = {};
  for (const name of used) hashes[name] = await sha256File(join(dir, name));
  return hashes;
}
