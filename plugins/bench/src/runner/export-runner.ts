/** `kdx bench --export-runner`: a folder that measures the models where kdx is not, in Node or in a browser. */
import { copyFile, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { evaluationLength } from 'kdx/classifier';
import type { TaskData } from 'kdx/data';
import { requireWebPackage, type WebPackage } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import { fileError, filesIn, replaceFolder, sha256File, writeFileAtomic } from 'kdx/files';
import { formStyle } from 'kdx/page';
import { silentProgress, type Progress } from 'kdx/progress';
import { kdxVersions } from 'kdx/recipe';
import { sentences } from 'kdx/timing';
import { checkLabels, checkSources } from '../bench-checks.ts';
import { prepareModel, type BenchModel } from '../bench-model.ts';
import { openBenchSource, type BenchSource } from '../bench-source.ts';
import { combinationsOf, inputsOf, meanFlops, scenarioOf, type CellOptions, type Grid } from '../combinations.ts';
import { modelNames } from '../model-names.ts';
import { sessionOptions } from '../session-options.ts';
import { packInputs } from './input-file.ts';
import { planFormat, planVersion, type Plan, type PlannedCell, type PlannedModel } from './plan.ts';
import { noticeText, readmeText } from './texts.ts';

export interface RunnerOptions {
  readonly teacher: string;
  readonly students: readonly string[];
  /** The sentences that are run come from its development set. */
  readonly data?: TaskData;
  readonly maxLength?: number;
  readonly grid: Omit<Grid, 'device'>;
  /** For each combination. */
  readonly seconds: number;
  /** Of each combination, at least. */
  readonly openings: number;
  readonly seed: number;
  /** New or empty, or, with `force`, an earlier folder of this kind. */
  readonly folder: string;
  readonly force?: boolean;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

export interface RunnerFolder {
  readonly folder: string;
  readonly files: number;
  readonly bytes: number;
  /** The teacher first. */
  readonly models: readonly Pick<PlannedModel, 'name' | 'file' | 'bytes' | 'sha256'>[];
  readonly combinations: number;
}

/** The device is chosen where the folder is run; its inputs are the same on each. */
const device = ['cpu'] as const;
const ROUNDS_PER_OPENING = 20;
const MIN_ROUNDS = 5;
/** Five times what a 90th percentile wants; the result stays a small file. */
const MAX_ROUNDS = 1000;

/** The scripts. From dist/runner and from src/runner it is the same way. */
const scriptFolder = fileURLToPath(new URL('../../runner/', import.meta.url));
const scripts = [
  ...['measure.js', 'plan.js', 'sessions.js', 'sha256.js', 'run.mjs', 'serve.mjs'],
  ...['index.html', 'run-browser.js', 'worker.js'],
];

/**
 * Writes the folder, whole or not at all.
 * @throws KdxError of bench; `output-exists`, `missing-package`, `separate-weights`, `disk-full`, ...
 */
export async function exportRunner(options: RunnerOptions): Promise<RunnerFolder> {
  const { folder, grid, data, progress = silentProgress, signal } = options;
  await checkPlace(folder, options.force ?? false);
  const web = requireWebPackage(import.meta.url, '--export-runner');
  const refs = [options.teacher, ...options.students];
  const sources: BenchSource[] = [];
  for (const ref of refs) sources.push(await openBenchSource(ref));
  checkSources(sources, grid.length, options.maxLength);
  return replaceFolder(folder, async (dir) => {
    const names = modelNames(refs);
    const models: BenchModel[] = [];
    const planned: PlannedModel[] = [];
    progress.start('copy models', names.length);
    for (const [i, name] of names.entries()) {
      signal?.throwIfAborted();
      const place = `models/${i}`;
      const model = await prepareModel(name, sources[i]!, join(dir, place));
      models.push(model);
      planned.push(await placeModel(model, dir, place));
      progress.update(i + 1);
    }
    progress.end();
    checkLabels(models, data);
    await writePlan(dir, models, planned, options);
    await copyScripts(dir, web);
    signal?.throwIfAborted();
    const files = await filesIn(dir);
    const sizes = await Promise.all(files.map(async (file) => (await stat(join(dir, file))).size));
    return {
      folder,
      files: files.length,
      bytes: sizes.reduce((sum, size) => sum + size, 0),
      models: planned.map(({ name, file, bytes, sha256 }) => ({ name, file, bytes, sha256 })),
      combinations: combinationsOf({ ...grid, device }).length,
    };
  });
}

async function checkPlace(folder: string, force: boolean): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw fileError(error, folder);
  });
  if (names.length === 0) return;
  const isRunner = await readFile(join(folder, 'plan.json'), 'utf8').then(
    (text) => text.includes(planFormat),
    () => false,
  );
  if (isRunner && force) return;
  const what = isRunner ? 'holds an earlier folder of this kind, and perhaps its results' : 'is not empty';
  throw new KdxError('output-exists', `${folder} ${what}`, {
    suggestions: [...(isRunner ? ['--force to replace all of it'] : []), 'a folder that is new or empty'],
  });
}

/** As `model.onnx`, with its weights beside it under the name that it has for them. */
async function placeModel(model: BenchModel, dir: string, place: string): Promise<PlannedModel> {
  const { facts, files, inputs } = model;
  const [onnx, weights] = files as readonly [string, string?];
  const whole = (await Promise.all(files.map(async (file) => (await stat(file)).size))).reduce((a, b) => a + b, 0);
  if (whole < facts.bytes)
    throw new KdxError('separate-weights', `${facts.ref} has its weights in files that kdx does not find by its name`, {
      suggestions: ['kdx export --onnx --model DIR --out DIR makes a file that can be taken along'],
    });
  await mkdir(join(dir, place), { recursive: true });
  const put = async (from: string, name: string, sha256?: string) => {
    const path = `${place}/${name}`;
    const to = join(dir, path);
    if (from !== to) await copyFile(from, to);
    return { file: path, bytes: (await stat(to)).size, sha256: sha256 ?? (await sha256File(to)) };
  };
  const external = weights === undefined ? undefined : await put(weights, basename(weights));
  return {
    name: facts.name,
    ...(await put(onnx, 'model.onnx', facts.sha256)),
    ...(external && { external: { ...external, name: basename(external.file) } }),
    reads: Object.fromEntries(inputs.map(({ name, dtype }) => [name, dtype])),
    facts: {
      ref: facts.ref,
      parameters: facts.parameters,
      groups: [...(facts.groups ?? [])],
      inputs: facts.inputs,
    },
  };
}

async function writePlan(
  dir: string,
  models: readonly BenchModel[],
  planned: PlannedModel[],
  {
    grid,
    data,
    maxLength = evaluationLength,
    seconds,
    openings,
    seed,
    progress = silentProgress,
    signal,
  }: RunnerOptions,
): Promise<void> {
  const options: CellOptions = {
    examples: data?.dev ?? sentences.map((text) => ({ text })),
    text: data ? 'development set' : 'built-in sentences',
    tokenize: 'out',
    maxLength,
    seconds,
    openings,
    seed,
    progress,
    signal,
  };
  const cells: PlannedCell[] = [];
  const readers = [];
  for (const combination of combinationsOf({ ...grid, device })) {
    const inputs = inputsOf(models, combination, options);
    readers.push(inputs.readers);
    const { device: _, tokenize: __, ...scenario } = scenarioOf(combination, inputs, options);
    cells.push({
      scenario: { ...scenario, tokenize: 'out' },
      flops: models.map((model, i) => meanFlops(model, inputs.readers[i]!.feeds)),
      sessionOptions: { ...sessionOptions('cpu', combination.threads) },
    });
  }
  const plan: Plan = {
    format: planFormat,
    version: planVersion,
    kdx: kdxVersions()['kdx']!,
    settings: {
      seed,
      seconds,
      minOpenings: openings,
      roundsPerOpening: ROUNDS_PER_OPENING,
      minRounds: MIN_ROUNDS,
      maxRounds: MAX_ROUNDS,
      warmUpSeconds: Math.min(1, seconds),
      warmUpRuns: 10,
    },
    models: planned,
    cells,
  };
  await writeFileAtomic(join(dir, 'plan.json'), `${JSON.stringify(plan, null, 2)}\n`);
  await writeFileAtomic(join(dir, 'inputs.json'), `${JSON.stringify(packInputs(readers))}\n`);
}

/** Names end in .js because not every web server knows .mjs; package.json tells Node that they are modules. */
async function copyScripts(dir: string, web: WebPackage): Promise<void> {
  const wasm = ['ort-wasm-simd-threaded.wasm', 'ort-wasm-simd-threaded.asyncify.wasm'];
  const copies: readonly [name: string, from: string][] = [
    ...scripts.map((name): [string, string] => [name, join(scriptFolder, name)]),
    ['web/ort.js', join(web.dist, 'ort.wasm.bundle.min.mjs')],
    ['web/ort-webgpu.js', join(web.dist, 'ort.webgpu.bundle.min.mjs')],
    ...wasm.map((name): [string, string] => [`web/${name}`, join(web.dist, name)]),
  ];
  for (const [name, from] of copies) await writeFileAtomic(join(dir, name), await readFile(from));
  const style = await readFile(join(scriptFolder, 'style.css'), 'utf8');
  await writeFileAtomic(join(dir, 'style.css'), formStyle + style);
  const versions = { node: kdxVersions()['onnxruntime-node']!, web: web.version };
  await writeFileAtomic(join(dir, 'package.json'), `${JSON.stringify({ private: true, type: 'module' }, null, 2)}\n`);
  await writeFileAtomic(join(dir, 'README.txt'), readmeText(versions));
  await writeFileAtomic(join(dir, 'NOTICE.txt'), noticeText(web.version));
}
