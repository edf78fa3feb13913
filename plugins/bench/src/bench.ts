/** `kdx bench`: students against their teacher in size, speed, start-up, memory and quality, from the same files. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluationLength } from 'kdx/classifier';
import type { TaskData } from 'kdx/data';
import { deviceVariables, type DeviceKind, type Engine } from 'kdx/engine';
import { writeFileAtomic } from 'kdx/files';
import { silentProgress, type Progress } from 'kdx/progress';
import { sentences } from 'kdx/timing';
import { checkBaseline, compareWithBaseline } from './baseline.ts';
import { readBaseline, type CellKey } from './baseline-file.ts';
import { checkLabels, checkSources } from './bench-checks.ts';
import { prepareModel, type BenchModel } from './bench-model.ts';
import { openBenchSource, type BenchSource } from './bench-source.ts';
import type { CellInputs } from './cell-inputs.ts';
import { coldStarts, type ColdStart } from './cold-start.ts';
import {
  combinationsOf,
  inputsOf,
  measureCombination,
  type CellOptions,
  type Combination,
  type Grid,
} from './combinations.ts';
import { COMPRESSED_LIMIT, compressedSize } from './compressed-size.ts';
import { environmentOf, systemState } from './environment.ts';
import type { CellParts, Length, Scenario } from './grid.ts';
import { modelNames } from './model-names.ts';
import { makeFolder } from './output-folder.ts';
import { writePages } from './page/index.ts';
import { answersText, describeData, likeness, modelQuality, noLikeness } from './quality.ts';
import { benchReport, type BenchReport, type ModelFacts } from './report.ts';
import { readImports, withImports } from './runner/result-report.ts';
import { sessionOptions } from './session-options.ts';

export interface BenchOptions {
  /** Checkpoint folder, hub id, exported folder, ONNX file, or `config:NAME` for random weights. */
  readonly teacher: string;
  readonly students: readonly string[];
  /** Evaluates the models, with all its threads. */
  readonly engine: Engine;
  /** Where they are measured, which must be available; default: the engine's device. */
  readonly device?: DeviceKind | readonly DeviceKind[];
  /** Its development set is scored, and the sentences that are run come from it. */
  readonly data?: TaskData;
  /** Longest example of the evaluation, and of natural lengths, in tokens; default 128, or what a model takes. */
  readonly maxLength?: number;
  /** Sequences per run; default 1. Several values make a grid. */
  readonly batch?: number | readonly number[];
  /** Tokens per sequence; default 128. */
  readonly length?: Length | readonly Length[];
  /** Default 1, which disturbs and is disturbed least. */
  readonly threads?: number | readonly number[];
  /** Whether a sample includes tokenizing; default `out`. */
  readonly tokenize?: Scenario['tokenize'];
  /** For the latency in each combination; default 20. */
  readonly seconds?: number;
  /** Processes in which the models are opened anew for it, whatever the time; default 6, at least 3. */
  readonly openings?: number;
  /** Fresh processes per model, 0 for none; default 10. In the first combination. */
  readonly coldStarts?: number;
  /** Whether to compress files over 200 MB, too, for their size; default no. */
  readonly compressLarge?: boolean;
  /** Results of the same models on other devices. */
  readonly imports?: readonly string[];
  /** An earlier bench.json to compare with, and the change that is too much (0.05 for 5 %). */
  readonly baseline?: { readonly file: string; readonly failOn: number };
  readonly seed?: number;
  /** Folder for bench.json, report.html and report.md, which are replaced. */
  readonly out?: string;
  /** The words that repeat the run, for the report. */
  readonly command?: readonly string[];
  readonly progress?: Progress;
  /** Ends the run; what was measured is returned when every model has at least one latency. */
  readonly signal?: AbortSignal;
}

const defaults = {
  batch: 1,
  length: 128,
  threads: 1,
  tokenize: 'out',
  seconds: 20,
  openings: 6,
  coldStarts: 10,
  compressLarge: false,
  seed: 0,
} as const;

type Settings = Omit<BenchOptions, keyof typeof defaults> & Required<Pick<BenchOptions, keyof typeof defaults>>;

/**
 * Measures latency, then cold starts, then quality, so that an interruption leaves the most valuable part.
 * @throws KdxError of openBenchSource; `no-student`, `length-over-positions`, `label-mismatch`, `not-a-classifier`,
 *   `fixed-shape`, `no-tokenizer`, `invalid-baseline`, `baseline-mismatch`, `invalid-result`, `import-mismatch`; the signal's reason when it comes before the
 *   first round
 */
export async function bench(options: BenchOptions): Promise<BenchReport> {
  const settings: Settings = { ...defaults, progress: silentProgress, ...options };
  const { teacher, students, data, engine, seed, out, signal, progress = silentProgress } = settings;
  const refs = [teacher, ...students];
  const names = modelNames(refs);
  const grid = gridOf(settings);
  const combinations = combinationsOf(grid);
  const baseline = options.baseline && (await readBaseline(options.baseline.file));
  if (baseline) {
    const { tokenize } = settings;
    const wanted = combinations.map((cell): CellKey => ({ ...cell, tokenize }));
    checkBaseline(baseline, names.slice(1), wanted);
  }
  const sources: BenchSource[] = [];
  for (const ref of refs) sources.push(await openBenchSource(ref));
  checkSources(sources, grid.length, options.maxLength);
  // Before the measuring, so that it is not in vain.
  if (out !== undefined) await makeFolder(out);

  const folder = await mkdtemp(join(tmpdir(), 'kdx-bench-'));
  try {
    const models: BenchModel[] = [];
    for (const [i, name] of names.entries()) {
      signal?.throwIfAborted();
      models.push(await prepareModel(name, sources[i]!, join(folder, String(i))));
    }
    checkLabels(models, data);
    const facts = models.map((model) => model.facts);
    const imported = await readImports(options.imports ?? [], facts);

    const cellOptions = cellOptionsOf(settings);
    // Before the first measurement, so that no combination fails late.
    const inputs = combinations.map((combination) => inputsOf(models, combination, cellOptions));

    const before = systemState();
    const cells = await measureCells(models, combinations, inputs, cellOptions);
    const starts = await measureColdStarts(models, inputs[0]!, combinations[0]!, settings);
    const threads = combinations[0]!.threads;
    const environment = environmentOf({ threads, before, after: systemState() });
    const { maxLength } = options;
    const qualities = data && (await modelQuality(models, { data, engine, maxLength, seed, progress, signal }));
    const compressed = await compressedSizes(models, settings);

    const [teacherFacts, ...studentFacts] = models.map(({ facts }): ModelFacts => {
      const quality = qualities?.get(facts.name);
      const compressedBytes = compressed.get(facts.sha256) ?? null;
      return { ...facts, compressedBytes, metric: quality?.metric ?? null, answers: answersText(quality) };
    });
    const teacherQuality = qualities?.get(teacherFacts!.name);
    const measured = benchReport({
      teacher: teacherFacts!,
      students: studentFacts.map((facts) => ({
        ...facts,
        ...(data ? likeness(teacherQuality, qualities?.get(facts.name), data, seed) : noLikeness),
      })),
      cells,
      coldStarts: starts,
      data: data ? describeData(data) : null,
      environment,
      interrupted: signal?.aborted ?? false,
    });
    const own: BenchReport = {
      ...(options.command && { command: options.command }),
      ...measured,
      ...(baseline && {
        baseline: compareWithBaseline(measured, baseline, { failOn: options.baseline.failOn, data }),
      }),
    };
    const report = withImports(own, imported);
    if (out !== undefined) {
      await writeFileAtomic(join(out, 'bench.json'), `${JSON.stringify(report, null, 2)}\n`);
      await writePages(report, out);
    }
    return report;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function gridOf({ engine, device = engine.device.kind, batch, length, threads }: Settings): Grid {
  const list = <T extends Length | DeviceKind>(values: T | readonly T[]): readonly T[] =>
    typeof values === 'object' ? values : [values];
  return { device: list(device), batch: list(batch), length: list<Length>(length), threads: list(threads) };
}

/** One after the other. When interrupted, what is complete is returned, if anything is. */
async function measureCells(
  models: readonly BenchModel[],
  combinations: readonly Combination[],
  inputs: readonly CellInputs[],
  options: CellOptions,
): Promise<CellParts[]> {
  const { progress, signal } = options;
  const count = combinations.length;
  const cells: CellParts[] = [];
  for (const [i, combination] of combinations.entries()) {
    const own = { ...options, progress: count === 1 ? progress : numbered(progress, `${i + 1} of ${count}`) };
    try {
      cells.push(await measureCombination(models, combination, inputs[i]!, own));
    } catch (error) {
      if (!signal?.aborted || cells.length === 0) throw error;
    }
    if (signal?.aborted) break;
  }
  return cells;
}

function cellOptionsOf(settings: Settings): CellOptions {
  const { data, maxLength = evaluationLength, tokenize, seconds, openings, seed } = settings;
  const { progress = silentProgress, signal } = settings;
  return {
    examples: data?.dev ?? sentences.map((text) => ({ text })),
    text: data ? 'development set' : 'built-in sentences',
    tokenize,
    maxLength,
    seconds,
    openings,
    seed,
    progress,
    signal,
  };
}

function numbered(progress: Progress, number: string): Progress {
  return { ...progress, start: (label, total) => progress.start(`${number}: ${label}`, total) };
}

async function measureColdStarts(
  models: readonly BenchModel[],
  { readers }: CellInputs,
  { device, threads }: Combination,
  { seed, progress = silentProgress, signal, coldStarts: processes }: Settings,
): Promise<Map<string, ColdStart>> {
  if (processes === 0) return new Map();
  const candidates = models.map(({ facts, onnxFile, tuned }, i) => ({
    name: facts.name,
    file: onnxFile,
    feeds: readers[i]!.feeds[0]!,
    sessionOptions: sessionOptions(device, threads, tuned),
  }));
  return coldStarts(candidates, {
    processes,
    seed,
    variables: await deviceVariables(device),
    progress,
    ...(signal && { signal }),
  });
}

/** By SHA-256. Last of all, as it disturbs what is measured; large models only when asked for. */
async function compressedSizes(
  models: readonly BenchModel[],
  { compressLarge, progress = silentProgress, signal }: Settings,
): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  const chosen = models.filter(({ facts }) => compressLarge || facts.bytes <= COMPRESSED_LIMIT);
  progress.start('compress', chosen.length);
  for (const [i, { facts, files }] of chosen.entries()) {
    if (signal?.aborted) break;
    try {
      if (!sizes.has(facts.sha256)) sizes.set(facts.sha256, await compressedSize(files, signal));
    } catch (error) {
      if (!signal?.aborted) throw error;
    }
    progress.update(i + 1);
  }
  progress.end();
  return sizes;
}
