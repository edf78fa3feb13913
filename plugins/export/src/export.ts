/** Exporting a checkpoint: layout, parity gate, metrics, provenance; the folder appears only when all is well. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { saveCheckpoint, unshare, type Checkpoint } from 'kdx/checkpoint';
import { checkpointModel, manifestName, openClassifier, openSource, type ClassifierSource } from 'kdx/classifier';
import { limitExamples, type TaskData } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import { filesIn, replaceFolder, sha256File, writeFileAtomic } from 'kdx/files';
import type { Model } from 'kdx/graph';
import { classifierParameters, parameterCount } from 'kdx/nn';
import { foldInitializers, sharedWeights, type Sharing } from 'kdx/passes';
import type { Progress } from 'kdx/progress';
import { kdxVersions } from 'kdx/recipe';
import { calibrationOf, type CalibrationText } from './calibration.ts';
import { checkFile, measureTask, type CheckedFile, type EngineScope } from './checked-file.ts';
import { writeDemo } from './demo/index.ts';
import { defaultLimits, type Fidelity, type FidelityLimits } from './fidelity.ts';
import { modelPath, writeLayout } from './layout.ts';
import { describeModel, describeSource, type ExportedFile, type ExportedModel, type Manifest } from './manifest.ts';
import type { TaskMetrics } from './manifest.ts';
import { checkOutput } from './output-folder.ts';
import { checkParity, exportedLogits, referenceLogits, type Parity } from './parity.ts';
import { quantizeModel, type QuantizationReport, type Scheme } from './quantization.ts';
import {
  checkPresent,
  floatGate,
  type Gate,
  quantizedGate,
  requireWebPackage,
  type RuntimeCheck,
  type RuntimeName,
} from './runtimes/index.ts';
import { checkTuneLength, type TuneOptions, type TuningRecord } from './tune/index.ts';
import { pruneSource, type CorpusText, type PruneReport } from './vocabulary/index.ts';
import { paritySentences } from './sentences.ts';

export interface ExportOptions {
  readonly out: string;
  readonly withEngine: EngineScope;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Its development set serves the gate and is measured. */
  readonly data?: TaskData;
  /** Largest difference of a logit; default 1e-4. */
  readonly tolerance?: number;
  /** Texts whose tokens are kept; the gate then compares with the pruned checkpoint. */
  readonly pruneVocabulary?: readonly CorpusText[];
  /** Replace an earlier export. */
  readonly force?: boolean;
  /** Writes a second, smaller file beside the float one. */
  readonly quantize?: { readonly scheme: Scheme; readonly limits?: FidelityLimits };
  /** What a scheme that looks at activations sees; default: built-in sentences. */
  readonly calibrate?: readonly CalibrationText[];
  /** Where the files are checked; default: every runtime that is present. */
  readonly runtimes?: readonly RuntimeName[];
  /** Also finds the session options that are fastest on this machine. */
  readonly tune?: TuneOptions;
  /** Adds a page that classifies in the browser. */
  readonly demo?: boolean;
  /** Default `auto`: a data file beside the model when it is over 2 GB. */
  readonly externalData?: 'auto' | 'always';
}

export interface ExportResult {
  /** Of a pruned vocabulary. */
  readonly vocabulary?: PruneReport;
  readonly out: string;
  /** kdx.json included. */
  readonly files: readonly ExportedFile[];
  readonly parameters: number;
  readonly parity: Parity;
  /** The float file on each runtime; undefined when no ONNX is written. */
  readonly runtimes?: readonly RuntimeCheck[];
  readonly tuning?: TuningRecord;
  readonly metrics?: TaskMetrics;
  readonly quantized?: QuantizedExport;
  /** Weights of the float file that several nodes read; undefined when no ONNX is written. */
  readonly sharing?: Sharing;
}

/** A quantized file beside the float one. */
export interface QuantizedExport extends QuantizationReport, CheckedFile<Fidelity> {}

/** A source that has a checkpoint to be compared with. */
export type CheckpointSource = ClassifierSource & { readonly checkpoint: Checkpoint };

const DEFAULT_TOLERANCE = 1e-4;
/** Sentences of a development set that go through the gate. */
const MOST_SENTENCES = 256;

/**
 * Exports a checkpoint folder or hub id as float32 ONNX, and in another number format beside it.
 * @throws KdxError of openSource; `not-a-checkpoint`, `output-exists`, `label-mismatch`, `missing-package`, `parity-failed`,
 *   `disk-full`, those of quantizing
 */
export async function exportCheckpoint(ref: string, options: ExportOptions): Promise<ExportResult> {
  checkPresent(options);
  if (options.demo) requireWebPackage('--demo');
  const whole = await openCheckpointSource(ref);
  const pruned =
    options.pruneVocabulary &&
    (await pruneSource(whole, options.pruneVocabulary, options.data ? { dev: options.data.dev } : {}));
  const source = pruned?.source ?? whole;
  const model = { ...checkpointModel(source.checkpoint), producer: { name: 'kdx', version: kdxVersion() } };
  const result = await exportModel(model, source, options);
  return { ...result, ...(pruned && { vocabulary: pruned.report }) };
}

async function openCheckpointSource(ref: string): Promise<CheckpointSource> {
  const source = await openSource(ref, { random: true });
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
  const { out, withEngine, progress, signal, data } = options;
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
    const expected = await withEngine((engine) => referenceLogits(source, texts, { engine, progress, signal }));
    return withEngine(async (engine) => {
      const classifier = await openClassifier(await openSource(dir), engine);
      const found = await exportedLogits(classifier, texts, { progress, signal });
      const parity = checkParity(texts, expected, found, options.tolerance ?? DEFAULT_TOLERANCE);
      const metrics = data && (await measureTask(classifier, data, options));
      const files = await writeManifest(dir, await describeSource(source), []);
      const parameters = parameterCount(classifierParameters(plain.config, config.labels.length));
      return { out, files, parameters, parity, ...(metrics && { metrics }) };
    });
  });
}

/**
 * Writes a graph as the export of a checkpoint, if it answers like it, and a quantized form of it beside it.
 * @throws KdxError `output-exists`, `label-mismatch`, `parity-failed`, `disk-full`, those of quantizing
 */
export async function exportModel(
  unfolded: Model,
  source: CheckpointSource,
  options: ExportOptions,
): Promise<ExportResult> {
  const { out, withEngine, progress, signal, data, quantize, tune } = options;
  await checkOutput(out, options.force ?? false);
  if (tune) checkTuneLength(source.config, tune);
  const { model } = foldInitializers(unfolded, { views: false });
  const small =
    quantize &&
    (await withEngine((engine) => {
      const { calibrate = paritySentences } = options;
      return quantizeModel(model, quantize.scheme, calibrationOf(source, calibrate, { engine, progress, signal }));
    }));
  const smallPath = `onnx/${quantize?.scheme.quantizer.fileName}.onnx`;
  return replaceFolder(out, async (dir) => {
    const models = new Map([[modelPath, model], ...(small ? [[smallPath, small.model] as const] : [])]);
    const texts = data ? limitExamples(data.dev, MOST_SENTENCES, 0) : paritySentences;
    // Written and hashed while other threads compute.
    const writing = inBackground(writeLayout(dir, models, source, options.externalData ?? 'auto'));
    const expected = await withEngine((engine) => referenceLogits(source, texts, { engine, progress, signal })).finally(
      () => writing,
    );
    const hashing = inBackground(Promise.all([describeSource(source), describeFiles(dir, await filesIn(dir))]));
    const wanted = { texts, expected };
    const check = <T extends Parity | Fidelity>(path: string, gate: Gate<T>) =>
      checkFile(dir, path, gate, wanted, options);
    const floatFile = await check(modelPath, floatGate(options.tolerance ?? DEFAULT_TOLERANCE));
    const described = [describeModel(floatFile, 'none', model)];
    let quantized: QuantizedExport | undefined;
    if (small) {
      const file = await check(smallPath, quantizedGate(quantize.limits ?? defaultLimits));
      described.push(describeModel(file, small.report, small.model));
      quantized = { ...small.report, ...file };
    }
    if (options.demo) await writeDemo(dir, source, described);
    const [origin, hashed] = await hashing;
    const files = await writeManifest(dir, origin, described, hashed);
    const { path: _, ...checked } = floatFile;
    const { parameters } = described[0] as ExportedModel;
    const sharing = sharedWeights(model.graph);
    return { out, files, parameters, sharing, ...checked, ...(quantized && { quantized }) };
  });
}

/** A failure is that of whoever waits for it; until then it is not unhandled. */
function inBackground<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}

/**
 * Returns what is in the folder then, kdx.json included.
 * @param described files that are there already
 */
async function writeManifest(
  dir: string,
  source: Manifest['source'],
  models: Manifest['models'],
  described: readonly ExportedFile[] = [],
): Promise<readonly ExportedFile[]> {
  const known = new Set(described.map(({ path }) => path));
  const others = (await filesIn(dir)).filter((path) => !known.has(path));
  const files = byPath([...described, ...(await describeFiles(dir, others))]);
  const manifest: Manifest = { format: 1, kind: 'export', kdx: kdxVersion(), source, models, files };
  await writeFileAtomic(join(dir, manifestName), `${JSON.stringify(manifest, null, 2)}\n`);
  return byPath([...files, ...(await describeFiles(dir, [manifestName]))]);
}

function byPath(files: readonly ExportedFile[]): ExportedFile[] {
  return [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function kdxVersion(): string {
  return kdxVersions()['kdx'] as string;
}

async function describeFiles(dir: string, paths: readonly string[]): Promise<ExportedFile[]> {
  const files: ExportedFile[] = [];
  for (const path of paths) {
    const file = join(dir, path);
    files.push({ path, bytes: (await stat(file)).size, sha256: await sha256File(file) });
  }
  return files;
}
