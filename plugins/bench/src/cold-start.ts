/** Cold start and memory of models, each in fresh processes of its own. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { randomStream } from 'kdx/data';
import { childScript } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import { numbersOf, type Tensor } from 'kdx/graph';
import { silentProgress, type Progress } from 'kdx/progress';
import { median } from 'kdx/timing';
import type { ColdStartJob, ColdStartMemory, ColdStartPhases, ColdStartSample, JobTensor } from './cold-start-job.ts';

export type { ColdStartMemory, ColdStartPhases, ColdStartSample } from './cold-start-job.ts';

export interface ColdStartModel {
  readonly name: string;
  /** ONNX file; external data beside it. */
  readonly file: string;
  /** Input tensors of the first run: int64, int32, float32 or bool. */
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** Of onnxruntime-node: threads, optimizers switched off, ... */
  readonly sessionOptions?: Readonly<Record<string, unknown>>;
}

export interface ColdStartOptions {
  /** Fresh processes per model; default 10. */
  readonly processes?: number;
  readonly seed: number;
  /** Of the processes, besides those of this one. */
  readonly variables?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly progress?: Progress;
}

/** Medians over the processes, taken phase by phase. */
export interface ColdStart {
  /** Start of the process to the end of the first run, `read` left out. */
  readonly totalMs: number;
  readonly phasesMs: ColdStartPhases;
  readonly memoryBytes: ColdStartMemory;
  readonly samples: readonly ColdStartSample[];
}

/**
 * Starts the processes one after the other, models in random order within each round. When interrupted, what is
 * complete is returned; a model without a single sample is left out.
 * @throws KdxError `cold-start-failed` when a process cannot run the model
 */
export async function coldStarts(
  models: readonly ColdStartModel[],
  options: ColdStartOptions,
): Promise<Map<string, ColdStart>> {
  const { processes = 10, seed, signal, progress = silentProgress } = options;
  const jobs = models.map(({ name, file, feeds, sessionOptions = {} }) => ({
    name,
    job: { file, feeds: mapValues(feeds, jobTensor), sessionOptions },
    samples: [] as ColdStartSample[],
  }));
  const random = randomStream(seed, 'bench-order');
  const order = [...jobs];
  progress.start('cold start', processes * jobs.length);
  let done = 0;
  for (let round = 0; round < processes && !signal?.aborted; round++) {
    random.shuffle(order);
    for (const { name, job, samples } of order) {
      const sample = await coldStartOnce(name, job, options);
      if (!sample) break;
      samples.push(sample);
      progress.update(++done);
    }
  }
  progress.end();
  return new Map(
    jobs.flatMap(({ name, samples }) => (samples.length > 0 ? [[name, summarise(samples)] as const] : [])),
  );
}

/** Start of the process to the end of the first run, `read` left out. */
export function coldStartTotal({ phasesMs: p }: ColdStartSample): number {
  return p.processStart + p.moduleLoad + p.sessionCreate + p.firstRun;
}

function summarise(samples: readonly ColdStartSample[]): ColdStart {
  const middle = <K extends string>(parts: readonly Readonly<Record<K, number>>[]): Record<K, number> =>
    mapValues(parts[0] as Readonly<Record<K, number>>, (_, key) => median(parts.map((part) => part[key])));
  return {
    totalMs: median(samples.map(coldStartTotal)),
    phasesMs: middle<keyof ColdStartPhases>(samples.map(({ phasesMs }) => phasesMs)),
    memoryBytes: middle<keyof ColdStartMemory>(samples.map(({ memoryBytes }) => memoryBytes)),
    samples,
  };
}

/** One fresh process; undefined when interrupted. */
async function coldStartOnce(
  name: string,
  job: ColdStartJob,
  { variables, signal }: Pick<ColdStartOptions, 'variables' | 'signal'>,
): Promise<ColdStartSample | undefined> {
  if (signal?.aborted) return undefined;
  const child = spawn(process.execPath, childScript(import.meta.url, 'cold-start-child'), {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...variables },
  });
  const stop = (): void => void child.kill('SIGKILL');
  signal?.addEventListener('abort', stop);
  try {
    const exit = new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    // A child that dies early closes its stdin; its exit code and stderr say why.
    child.stdin.on('error', () => undefined);
    child.stdin.end(JSON.stringify(job));
    const [output, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
    if (signal?.aborted) return undefined;
    if (code === 0) return JSON.parse(output) as ColdStartSample;
    const reason = errors.match(/^.*Error: .*$/m)?.[0] ?? errors.trim().split('\n').at(-1) ?? '';
    throw new KdxError('cold-start-failed', `a fresh process could not run ${name} (${job.file}): ${reason}`, {
      exitCode: 1,
    });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

function jobTensor(value: Tensor): JobTensor {
  const { dtype, dims } = value;
  if (dtype !== 'int64' && dtype !== 'int32' && dtype !== 'float32' && dtype !== 'bool')
    throw new KdxError('unsupported-input', `an input of type ${dtype} cannot be fed in a cold start`);
  return { type: dtype, dims, values: numbersOf(value) };
}

function mapValues<K extends string, A, B>(record: Readonly<Record<K, A>>, map: (value: A, key: K) => B): Record<K, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value as A, key as K)])) as Record<
    K,
    B
  >;
}
