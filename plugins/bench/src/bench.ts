/** `kdx bench`: students against their teacher in size, speed, start-up, memory and quality, from the same files. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSource, type ClassifierSource } from 'kdx/classifier';
import type { TaskData } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import { fileError, writeFileAtomic } from 'kdx/files';
import { silentProgress, type Progress } from 'kdx/progress';
import { prepareModel, type BenchModel } from './bench-model.ts';
import { coldStarts, type ColdStart } from './cold-start.ts';
import { environmentOf, systemState } from './environment.ts';
import { measure, type Measurement } from './measurement.ts';
import { modelNames } from './model-names.ts';
import { agreement, modelQuality } from './quality.ts';
import { benchReport, type BenchReport } from './report.ts';
import { sentences } from './sentences.ts';
import { startStopwatch } from './stopwatch.ts';

export interface BenchOptions {
  /** Checkpoint folder, hub id, exported folder or ONNX file. */
  readonly teacher: string;
  readonly students: readonly string[];
  /** Evaluates the models, with all its threads; its device is the one that is measured. */
  readonly engine: Engine;
  /** Its development set is scored, and the sentences that are run come from it. */
  readonly data?: TaskData;
  /** Longest example of the evaluation in tokens; default 128, or what a model takes if that is less. */
  readonly maxLength?: number;
  /** Sequences per run; default 1. */
  readonly batch?: number;
  /** Tokens per sequence; default 128. */
  readonly length?: number;
  /** Default 1, which disturbs and is disturbed least. */
  readonly threads?: number;
  /** For the rounds of the latency; default 20. */
  readonly seconds?: number;
  /** Fresh processes per model, 0 for none; default 10. */
  readonly coldStarts?: number;
  readonly seed?: number;
  /** Folder for bench.json, which is replaced. */
  readonly out?: string;
  readonly progress?: Progress;
  /** Ends the run; what was measured is returned when every model has at least one latency. */
  readonly signal?: AbortSignal;
}

type Settings = Required<Pick<BenchOptions, 'batch' | 'length' | 'threads' | 'seconds' | 'coldStarts' | 'seed'>>;

/** Fewer samples do not make a 90th percentile (MLPerf); a short budget ends before, and the interval tells. */
const P90_ROUNDS = 200;

const defaults: Settings = { batch: 1, length: 128, threads: 1, seconds: 20, coldStarts: 10, seed: 0 };

/**
 * Measures latency, then cold starts, then quality, so that an interruption leaves the most valuable part.
 * @throws KdxError of openSource; `no-student`, `length-over-positions`, `label-mismatch`; the signal's reason when it
 * comes before the first round
 */
export async function bench(options: BenchOptions): Promise<BenchReport> {
  const settings = { ...defaults, ...options };
  const { teacher, students, data, engine, seed, threads, batch, length, out, signal } = settings;
  const { progress = silentProgress } = options;
  const sources = await openSources([teacher, ...students]);
  checkSources(sources, settings);
  if (out !== undefined) await makeFolder(out);

  const folder = await mkdtemp(join(tmpdir(), 'kdx-bench-'));
  try {
    const texts = data?.dev.flatMap(({ text, pair }) => (pair === undefined ? [text] : [text, pair])) ?? sentences;
    const models: BenchModel[] = [];
    for (const [i, name] of modelNames([teacher, ...students]).entries()) {
      signal?.throwIfAborted();
      const own = join(folder, String(i));
      models.push(
        await prepareModel(name, sources[i] as ClassifierSource, { folder: own, texts, batch, length, seed }),
      );
    }

    const before = systemState();
    const measurement = await measureLatency(models, { ...settings, progress });
    const starts = await measureColdStarts(models, { ...settings, progress });
    const environment = environmentOf({ threads, before, after: systemState() });
    const { maxLength } = options;
    const qualities = data && (await modelQuality(models, { data, engine, maxLength, progress, signal }));

    const [teacherFacts, ...studentFacts] = models.map(({ facts }) => ({
      ...facts,
      metric: qualities?.get(facts.name)?.metric ?? null,
    }));
    const teacherQuality = qualities?.get(teacherFacts!.name);
    const report = benchReport({
      scenario: {
        device: engine.device.kind,
        threads,
        batch,
        length,
        text: data ? 'development set' : 'built-in sentences',
      },
      teacher: teacherFacts!,
      students: studentFacts.map((facts) => ({
        ...facts,
        agreement: agreement(teacherQuality, qualities?.get(facts.name)),
      })),
      measurement,
      coldStarts: starts,
      environment,
      interrupted: signal?.aborted ?? false,
    });
    if (out !== undefined) await writeFileAtomic(join(out, 'bench.json'), `${JSON.stringify(report, null, 2)}\n`);
    return report;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function openSources(refs: readonly string[]): Promise<ClassifierSource[]> {
  const sources: ClassifierSource[] = [];
  for (const ref of refs) sources.push(await openSource(ref));
  return sources;
}

function checkSources(
  sources: readonly ClassifierSource[],
  { data, length, maxLength }: Settings & BenchOptions,
): void {
  const [teacher, ...students] = sources as [ClassifierSource, ...ClassifierSource[]];
  if (students.length === 0)
    throw new KdxError('no-student', 'there is no student to compare the teacher with', {
      suggestions: [`kdx bench --teacher ${teacher.ref} --student DIR`],
    });
  const longest = Math.min(...sources.map(({ config }) => config.maxPositions));
  for (const [flag, tokens] of Object.entries({ '--length': length, '--max-length': maxLength ?? 0 }))
    for (const { ref, config } of sources)
      if (tokens > config.maxPositions)
        throw new KdxError(
          'length-over-positions',
          `${ref} takes at most ${config.maxPositions} tokens, ${flag} is ${tokens}`,
          { suggestions: [`${flag} ${longest}`] },
        );
  const labels = ({ config }: ClassifierSource) => config.labels.length;
  for (const student of students)
    if (labels(student) !== labels(teacher))
      throw new KdxError(
        'label-mismatch',
        `${teacher.ref} has ${labels(teacher)} label(s), ${student.ref} has ${labels(student)}`,
        { suggestions: ['compare models of the same task'] },
      );
  if (data && labels(teacher) !== data.task.outputs)
    throw new KdxError(
      'label-mismatch',
      `${teacher.ref} has ${labels(teacher)} label(s), ${data.task.name} has ${data.task.outputs}`,
      { suggestions: ['give the data of the task that the models were trained for'] },
    );
}

/** Before the measuring, so that it is not in vain. */
async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') throw new KdxError('not-a-folder', `${path} is a file, a folder is needed`);
    throw fileError(error, path);
  });
}

/** A sample is one `session.run`: inputs handed over, model run, logits back. Tokenizing is not in it. */
async function measureLatency(
  models: readonly BenchModel[],
  { engine, threads, seconds, seed, progress, signal }: Settings & BenchOptions,
): Promise<Measurement> {
  const timed = models.map(({ facts, source, feeds }) => ({ name: facts.name, file: source.onnxFile, feeds }));
  const stopwatch = await startStopwatch(timed, sessionOptions(engine, threads)).catch((error: unknown) => {
    // A terminal's Ctrl-C also reaches a process that is only just starting.
    signal?.throwIfAborted();
    throw error;
  });
  try {
    return await measure({
      subjects: stopwatch.subjects,
      reference: models[0]!.facts.name,
      seed,
      budgetSeconds: seconds,
      targetRounds: P90_ROUNDS,
      warmUpSeconds: Math.min(1, seconds),
      ...(progress && { progress }),
      ...(signal && { signal }),
    });
  } finally {
    stopwatch.close();
  }
}

async function measureColdStarts(
  models: readonly BenchModel[],
  { engine, threads, seed, progress, signal, ...settings }: Settings & BenchOptions,
): Promise<Map<string, ColdStart>> {
  if (settings.coldStarts === 0) return new Map();
  const candidates = models.map(({ facts, source, feeds }) => ({
    name: facts.name,
    file: source.onnxFile,
    feeds: feeds[0]!,
  }));
  return coldStarts(candidates, {
    processes: settings.coldStarts,
    seed,
    sessionOptions: sessionOptions(engine, threads),
    ...(progress && { progress }),
    ...(signal && { signal }),
  });
}

/** Of onnxruntime-node, the same for all models and stages. Threads that wait sleep instead of spinning. */
function sessionOptions({ device }: Engine, threads: number): Readonly<Record<string, unknown>> {
  return {
    executionProviders: [device.kind],
    executionMode: 'sequential',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
}
