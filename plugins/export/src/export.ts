/** Exporting a checkpoint: layout, parity gate, metrics, provenance; the folder appears only when all is well. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { saveCheckpoint, unshare, type Checkpoint } from 'kdx/checkpoint';
import {
  checkpointModel,
  openClassifier,
  openSource,
  scoreClassifier,
  summarizeGraph,
  type Classifier,
  type ClassifierSource,
} from 'kdx/classifier';
import { limitExamples, type TaskData } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import { sha256File, writeFileAtomic } from 'kdx/files';
import type { Model } from 'kdx/graph';
import { classifierParameters, parameterCount } from 'kdx/nn';
import type { Progress } from 'kdx/progress';
import { kdxVersions } from 'kdx/recipe';
import { modelPath, writeLayout } from './layout.ts';
import { describeModel, describeSource, manifestName, type ExportedFile, type Manifest } from './manifest.ts';
import type { TaskMetrics } from './manifest.ts';
import { checkOutput, filesIn, replaceFolder } from './output-folder.ts';
import { checkParity, exportedLogits, referenceLogits, type Parity } from './parity.ts';
import { paritySentences } from './sentences.ts';

export interface ExportOptions {
  readonly out: string;
  /** Of the CPU: what the gate compares is meant for any machine. */
  readonly engine: Engine;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Its development set serves the gate and is measured. */
  readonly data?: TaskData;
  /** Largest difference of a logit; default 1e-4. */
  readonly tolerance?: number;
  /** Replace an earlier export. */
  readonly force?: boolean;
  /** Default `auto`: a data file beside the model when it is over 2 GB. */
  readonly externalData?: 'auto' | 'always';
}

export interface ExportResult {
  readonly out: string;
  /** kdx.json included. */
  readonly files: readonly ExportedFile[];
  readonly parameters: number;
  readonly parity: Parity;
  readonly metrics?: TaskMetrics;
}

/** A source that has a checkpoint to be compared with. */
export type CheckpointSource = ClassifierSource & { readonly checkpoint: Checkpoint };

const DEFAULT_TOLERANCE = 1e-4;
/** Sentences of a development set that go through the gate. */
const MOST_SENTENCES = 256;

/**
 * Exports a checkpoint folder or hub id as float32 ONNX.
 * @throws KdxError of openSource; `not-a-checkpoint`, `output-exists`, `label-mismatch`, `parity-failed`, `disk-full`
 */
export async function exportCheckpoint(ref: string, options: ExportOptions): Promise<ExportResult> {
  const source = await openCheckpointSource(ref);
  const model = { ...checkpointModel(source.checkpoint), producer: { name: 'kdx', version: kdxVersion() } };
  return exportModel(model, source, options);
}

async function openCheckpointSource(ref: string): Promise<CheckpointSource> {
  const source = await openSource(ref);
  const { checkpoint } = source;
  if (checkpoint === undefined)
    throw new KdxError('not-a-checkpoint', `${ref} is exported already; --model takes a checkpoint`, {
      suggestions: ['give the folder with config.json and model.safetensors that it was exported from'],
    });
  return { ...source, checkpoint };
}

/**
 * Writes a model with shared layers as a checkpoint that shares nothing, if it answers like it: Transformers opens it.
 * @throws KdxError of openSource; `not-a-checkpoint`, `nothing-shared`, `output-exists`, `parity-failed`, `disk-full`
 */
export async function exportUnshared(ref: string, options: ExportOptions): Promise<ExportResult> {
  const { out, engine, progress, signal, data } = options;
  const source = await openCheckpointSource(ref);
  const { config } = source;
  if (config.layerPlan.every((layer, depth) => layer === depth) && !config.swappedDepths?.length)
    throw new KdxError('nothing-shared', `no layer of ${ref} runs twice: it is a plain checkpoint already`, {
      suggestions: [`kdx export --onnx --model ${ref} --out ${out}`],
    });
  await checkOutput(out, options.force ?? false);
  return replaceFolder(out, async (dir) => {
    const plain = unshare(source.checkpoint);
    await saveCheckpoint(dir, { ...plain, tokenizerFrom: source.dir });
    const texts = data ? limitExamples(data.dev, MOST_SENTENCES, 0) : paritySentences;
    const expected = await referenceLogits(source, texts, engine, { progress, signal });
    const classifier = await openClassifier(await openSource(dir), engine);
    try {
      const found = await exportedLogits(classifier, texts, { progress, signal });
      const parity = checkParity(texts, expected, found, options.tolerance ?? DEFAULT_TOLERANCE);
      const metrics = data && (await measure(classifier, data, options));
      await writeManifest(dir, source, []);
      const parameters = parameterCount(classifierParameters(plain.config, config.labels.length));
      return { out, files: await describeFiles(dir), parameters, parity, ...(metrics && { metrics }) };
    } finally {
      await classifier.release();
    }
  });
}

/**
 * Writes a graph as the export of a checkpoint, if it answers like it.
 * @throws KdxError `output-exists`, `label-mismatch`, `parity-failed`, `disk-full`
 */
export async function exportModel(
  model: Model,
  source: CheckpointSource,
  options: ExportOptions,
): Promise<ExportResult> {
  const { out, engine, progress, signal, data } = options;
  await checkOutput(out, options.force ?? false);
  return replaceFolder(out, async (dir) => {
    await writeLayout(dir, model, source, options.externalData ?? 'auto');
    const texts = data ? limitExamples(data.dev, MOST_SENTENCES, 0) : paritySentences;
    const expected = await referenceLogits(source, texts, engine, { progress, signal });
    const classifier = await openClassifier(await openSource(join(dir, modelPath)), engine);
    try {
      const found = await exportedLogits(classifier, texts, { progress, signal });
      const parity = checkParity(texts, expected, found, options.tolerance ?? DEFAULT_TOLERANCE);
      const metrics = data && (await measure(classifier, data, options));
      const described = describeModel(modelPath, model, summarizeGraph(model.graph), parity, metrics);
      await writeManifest(dir, source, [described]);
      const { parameters } = described;
      return { out, files: await describeFiles(dir), parameters, parity, ...(metrics && { metrics }) };
    } finally {
      await classifier.release();
    }
  });
}

async function writeManifest(dir: string, source: CheckpointSource, models: Manifest['models']): Promise<void> {
  const manifest: Manifest = {
    format: 1,
    kind: 'export',
    kdx: kdxVersion(),
    source: await describeSource(source),
    models,
    files: await describeFiles(dir),
  };
  await writeFileAtomic(join(dir, manifestName), `${JSON.stringify(manifest, null, 2)}\n`);
}

function kdxVersion(): string {
  return kdxVersions()['kdx'] as string;
}

async function measure(
  classifier: Classifier,
  { task, dev }: TaskData,
  { progress, signal }: ExportOptions,
): Promise<TaskMetrics> {
  const { metrics } = await scoreClassifier(classifier, task, dev, { progress, signal });
  return { task: task.name, examples: dev.length, primary: task.primary, values: metrics };
}

async function describeFiles(dir: string): Promise<ExportedFile[]> {
  const files: ExportedFile[] = [];
  for (const path of await filesIn(dir)) {
    const file = join(dir, path);
    files.push({ path, bytes: (await stat(file)).size, sha256: await sha256File(file) });
  }
  return files;
}
