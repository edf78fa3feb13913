/** What is in a model: a checkpoint folder, an exported folder, or an ONNX file. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadCheckpoint, readOnnxConfig, type BertConfig, type Checkpoint } from '../checkpoint/index.ts';
import { exportedModel, sizeByGroup, type Size, type TensorGroup } from '../classifier/index.ts';
import { loadTokenizer } from '../data/index.ts';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';
import { physicalLayers } from '../nn/index.ts';
import { inspectOnnx, type InspectOptions, type OnnxInspection } from './onnx-inspection.ts';

export interface Architecture {
  readonly type: string;
  readonly layers: number;
  /** Layers that own weights; fewer when layers share them. */
  readonly storedLayers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly intermediate: number;
  readonly activation: string;
  readonly vocabulary: number;
  readonly positions: number;
}

/** Weights as kdx loads them: float32, each stored tensor once. */
export interface WeightsInspection extends Size {
  readonly groups: Readonly<Partial<Record<TensorGroup, Size>>>;
  /** Whether there is a classifier; a pretrained encoder has none. */
  readonly head: boolean;
  /** Tensors of the files that are no part of a classifier. */
  readonly extra: readonly string[];
}

export interface TokenizerInspection {
  readonly tokens: number;
  /** Longest input that the tokenizer's files state, in tokens. */
  readonly maxLength?: number;
  readonly sha256: string;
}

export interface FolderInspection {
  readonly architecture: Architecture;
  readonly labels: readonly string[];
  readonly problemType: string;
  /** Undefined for an exported folder, which has its weights in ONNX. */
  readonly weights?: WeightsInspection;
  /** Undefined when the folder has no tokenizer files. */
  readonly tokenizer?: TokenizerInspection;
}

export interface Inspection {
  /** As the user called it. */
  readonly model: string;
  /** Undefined for an ONNX file. */
  readonly folder?: FolderInspection;
  readonly onnx: readonly OnnxInspection[];
}

/** @throws KdxError of loadCheckpoint and readModel */
export async function inspectModel(ref: string, options: InspectOptions = {}): Promise<Inspection> {
  const found = await stat(ref).catch(() => undefined);
  if (found?.isFile() || (found === undefined && /\.onnx$/i.test(ref)))
    return { model: ref, onnx: [await inspectOnnx(ref, options)] };
  const isExport = (await exportedModel(ref)) !== undefined;
  const checkpoint = isExport ? undefined : await loadCheckpoint(ref);
  const dir = checkpoint?.dir ?? ref;
  const config = checkpoint?.config ?? (await readOnnxConfig(join(dir, 'config.json')));
  const tokenizer = await inspectTokenizer(dir);
  const folder: FolderInspection = {
    architecture: describeArchitecture(config),
    labels: config.labels,
    problemType: config.problemType,
    ...(checkpoint && { weights: inspectWeights(checkpoint) }),
    ...(tokenizer && { tokenizer }),
  };
  return { model: ref, folder, onnx: await inspectAll(join(dir, 'onnx'), options) };
}

function describeArchitecture(config: BertConfig): Architecture {
  return {
    type: String(config.raw['model_type']),
    layers: config.layers,
    storedLayers: physicalLayers(config),
    hidden: config.hiddenSize,
    heads: config.heads,
    intermediate: config.intermediateSize,
    activation: config.activation,
    vocabulary: config.vocabSize,
    positions: config.maxPositions,
  };
}

function inspectWeights({ weights, extra, hasHead }: Checkpoint): WeightsInspection {
  const groups = sizeByGroup(weights);
  const total = (key: keyof Size) => Object.values(groups).reduce((sum, size) => sum + size[key], 0);
  return { parameters: total('parameters'), bytes: total('bytes'), groups, head: hasHead, extra: [...extra.keys()] };
}

async function inspectTokenizer(dir: string): Promise<TokenizerInspection | undefined> {
  try {
    const { vocabSize: tokens, modelMaxLength, hash: sha256 } = await loadTokenizer(dir);
    return { tokens, ...(modelMaxLength !== undefined && { maxLength: modelMaxLength }), sha256 };
  } catch (error) {
    if (error instanceof KdxError && error.code === 'missing-tokenizer') return undefined;
    throw error;
  }
}

/** The ONNX files of a folder that need not be there. */
async function inspectAll(dir: string, options: InspectOptions): Promise<OnnxInspection[]> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw fileError(error, dir);
  });
  const found: OnnxInspection[] = [];
  for (const name of names.filter((file) => file.endsWith('.onnx')).sort())
    found.push(await inspectOnnx(join(dir, name), options));
  return found;
}
