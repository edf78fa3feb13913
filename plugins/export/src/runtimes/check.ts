/** The gate on every runtime that is present: what onnxruntime-node has answered, and ONNX Runtime's WebAssembly build. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { computeLogits, type ClassifierSource } from 'kdx/classifier';
import { KdxError } from 'kdx/errors';
import { fileExists } from 'kdx/files';
import { tensor, type Tensor } from 'kdx/graph';
import { externalDataName } from 'kdx/onnx';
import type { Progress } from 'kdx/progress';
import { kdxVersions } from 'kdx/recipe';
import { measureAnswers, type Fidelity, type Figures } from '../fidelity.ts';
import { exportedLogits, type Parity } from '../parity.ts';
import type { Answers, Gate } from './gates.ts';
import { findWebPackage, requireWebPackage } from './web-package.ts';
import { openWebSession, WebFailure } from './web-session.ts';

export const runtimeNames = ['node', 'wasm'] as const;
export type RuntimeName = (typeof runtimeNames)[number];

interface Runtime {
  readonly name: 'onnxruntime-node' | 'onnxruntime-web';
  /** Undefined where it is not installed. */
  readonly version?: string;
}

/** A file on one runtime, compared with the checkpoint; or why it was not run there. */
export type RuntimeCheck = (Runtime & Figures) | (Runtime & { readonly skipped: string });

export interface RuntimeOptions {
  /** Default: all that are present. onnxruntime-node is always run, since the metrics are its. */
  readonly runtimes?: readonly RuntimeName[];
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** It takes one thread and some ten times as long as onnxruntime-node. */
const WEB_SENTENCES = 16;
const WEB_BATCH = 4;
/** Browsers are given less; running more takes long, so it must be asked for. */
const LARGE_WEB_BYTES = 1.5e8;
/** Weights are in its memory more than twice while a file is loaded, of at most 4 GB: 1.4 GB load, 1.9 GB do not. */
const WEB_BYTES = 1.4e9;

/** @throws KdxError `missing-package`: a runtime is asked for that is not installed */
export function checkPresent({ runtimes }: Pick<RuntimeOptions, 'runtimes'>): void {
  if (runtimes?.includes('wasm')) requireWebPackage('--runtimes wasm');
}

/** What onnxruntime-node has answered. */
export function nodeCheck({ expected, found }: Answers): RuntimeCheck {
  const version = kdxVersions()['onnxruntime-node'] as string;
  return { name: 'onnxruntime-node', version, ...measureAnswers(expected, found) };
}

/** A file that runs on WebAssembly while onnxruntime-node is at work. */
export interface WebCheck {
  /**
   * @param answers of onnxruntime-node, which have passed the gate
   * @throws KdxError `parity-failed`: WebAssembly answers otherwise, or cannot run the file
   */
  result(answers: Answers, gate: Gate<Parity | Fidelity>): Promise<RuntimeCheck>;
  /** Ends what is under way. */
  close(): Promise<void>;
}

/** @param source of the exported folder */
export function startWeb(
  file: string,
  source: ClassifierSource,
  texts: Answers['texts'],
  options: RuntimeOptions,
): WebCheck {
  const { progress, signal } = options;
  const closing = new AbortController();
  const some = texts.slice(0, WEB_SENTENCES);
  const running = answerOnWeb(file, source, some, options, AbortSignal.any([signal, closing.signal]));
  // Whoever waits for it gets the failure; until then it is not unhandled.
  running.catch(() => undefined);
  return {
    async result(answers, gate) {
      progress.start('logits of the exported file, on WebAssembly', some.length);
      const outcome = await running;
      progress.update(some.length);
      progress.end();
      if ('skipped' in outcome) return outcome;
      const { found, ...web } = outcome;
      const [expected, onNode] = [answers.expected, answers.found].map((logits) => firstRows(logits, some.length)) as [
        Tensor<'float32'>,
        Tensor<'float32'>,
      ];
      gate({ texts: some, expected, found, other: { runtime: titleOf(web), onNode } });
      return { ...web, ...measureAnswers(expected, found) };
    },
    async close() {
      closing.abort();
      await running.catch(() => undefined);
    },
  };
}

type WebOutcome = Runtime & ({ readonly found: Tensor<'float32'> } | { readonly skipped: string });

async function answerOnWeb(
  file: string,
  source: ClassifierSource,
  texts: Answers['texts'],
  { runtimes }: RuntimeOptions,
  signal: AbortSignal,
): Promise<WebOutcome> {
  const installed = findWebPackage();
  const web: Runtime = { name: 'onnxruntime-web', ...(installed && { version: installed.version }) };
  if (runtimes && !runtimes.includes('wasm')) return { ...web, skipped: 'not asked for' };
  if (!installed) return { ...web, skipped: 'not installed' };
  const bytes = await modelBytes(file);
  if (bytes > WEB_BYTES)
    return { ...web, skipped: `${(bytes / 1e9).toFixed(1)} GB of weights do not fit the memory of WebAssembly` };
  if (!runtimes && bytes > LARGE_WEB_BYTES)
    return {
      ...web,
      skipped: `${Math.round(bytes / 1e6)} MB is much for it; --runtimes node,wasm runs it all the same`,
    };
  try {
    return { ...web, found: await webLogits(file, source, texts, signal) };
  } catch (error) {
    if (!(error instanceof WebFailure)) throw error;
    if (/bad_alloc|out of memory|\bOOM\b|could not allocate|allocation failed/i.test(error.message))
      return { ...web, skipped: `out of memory: ${error.message}` };
    throw new KdxError(
      'parity-failed',
      `the exported model does not run on ${titleOf(web)}, so it was not written: ${error.message}`,
      { suggestions: ['--runtimes node leaves this runtime out'], exitCode: 1, cause: error },
    );
  }
}

function titleOf({ version }: Runtime): string {
  return `onnxruntime-web ${version} (wasm)`;
}

/** float32 [texts, labels] */
async function webLogits(
  file: string,
  source: ClassifierSource,
  texts: Answers['texts'],
  signal: AbortSignal,
): Promise<Tensor<'float32'>> {
  const { labels, maxPositions: maxLength } = source.config;
  const session = await openWebSession(file, signal);
  try {
    const classifier: Parameters<typeof exportedLogits>[0] = {
      source,
      maxLength,
      logits: (examples, more) => computeLogits(session.run, examples, { labels: labels.length, maxLength, ...more }),
    };
    return await exportedLogits(classifier, texts, { batch: WEB_BATCH, signal });
  } finally {
    await session.close();
  }
}

function firstRows({ data, dims }: Tensor<'float32'>, rows: number): Tensor<'float32'> {
  const labels = dims[1] as number;
  return tensor('float32', [rows, labels], data.slice(0, rows * labels));
}

async function modelBytes(file: string): Promise<number> {
  const files = [file, join(dirname(file), externalDataName(file))];
  const sizes = await Promise.all(files.map(async (name) => ((await fileExists(name)) ? (await stat(name)).size : 0)));
  return sizes.reduce((sum, size) => sum + size, 0);
}
