/**
 * Time and peak memory of a training step by its options, each in fresh processes, in turn: as it is, with recomputation,
 * with float16 products. A BERT with dropout 0.1; the memory is the peak resident set less that before the session.
 *
 *   node --conditions=source --import tsx test/perf/step-variants.ts [--variants plain,recompute,float16] [--layers N]
 *     [--hidden N] [--rows N] [--length N] [--rounds N] [--steps N] [--threads N]
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { openEngine, type Variable } from '../../src/engine/index.ts';
import { tensorOf } from '../../src/graph/index.ts';
import { plainPlan } from '../../src/nn/index.ts';
import { adamwScalars } from '../../src/optim/index.ts';
import { buildStep, drawMasks, slots, stepMemory, type StepOptions } from '../../src/train/index.ts';
import { seeded } from '../support/seeded.ts';
import { classifierObjective, firstState, randomBatch } from './random-training.ts';

const { values: flags } = parseArgs({
  options: {
    variants: { type: 'string', default: 'plain,recompute' },
    layers: { type: 'string', default: '6' },
    hidden: { type: 'string', default: '384' },
    rows: { type: 'string', default: '32' },
    length: { type: 'string', default: '128' },
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '4' },
    threads: { type: 'string', default: '2' },
    child: { type: 'string' },
  },
});

const variants: Readonly<Record<string, Partial<StepOptions>>> = {
  plain: {},
  recompute: { recompute: true },
  float16: { precision: 'float16' },
};

interface Measured {
  /** Milliseconds, the first step left out. */
  readonly times: readonly number[];
  /** Milliseconds of processors, all threads: on a machine in use by others it tells more. */
  readonly work: readonly number[];
  /** Bytes. */
  readonly peak: number;
  readonly estimate: number;
  readonly losses: readonly number[];
}

async function measure(options: Partial<StepOptions>): Promise<Measured> {
  const hidden = Number(flags.hidden);
  const bucket = { rows: Number(flags.rows), length: Number(flags.length) };
  const architecture = {
    vocabSize: 30522,
    hiddenSize: hidden,
    heads: hidden / 32,
    intermediateSize: 4 * hidden,
    activation: 'gelu' as const,
    maxPositions: 512,
    typeVocabSize: 2,
    layerNormEps: 1e-12,
    initializerRange: 0.02,
    hiddenDropout: 0.1,
    attentionDropout: 0.1,
    classifierDropout: 0.1,
    layerPlan: plainPlan(Number(flags.layers)),
  };
  const adamw = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };
  const objective = classifierObjective(architecture);
  const step = buildStep(objective, bucket, { adamw, clipNorm: 1, mode: 'update', ...options });
  const random = seeded(1);
  const engine = await openEngine({ device: 'cpu', threads: Number(flags.threads) });
  const state = await firstState(engine, objective.parameters, random);
  const batch = randomBatch(bucket, random);
  const before = process.memoryUsage.rss();
  const session = await engine.createSession(step.model, { inPlace: true });
  const times: number[] = [];
  const work: number[] = [];
  const losses: number[] = [];
  for (let i = 0; i <= Number(flags.steps); i++) {
    const { stepSize, epsilon, shrink } = adamwScalars(adamw, i + 1, 1e-4);
    const scalar = (value: number) => tensorOf('float32', [], [value]);
    const feeds = {
      ...batch,
      ...drawMasks(step.dropout, 1, [i]),
      ...Object.fromEntries(step.reads.map((name) => [name, state.get(name) as Variable])),
      ...{ step_size: scalar(stepSize), epsilon: scalar(epsilon), shrink: scalar(shrink) },
      ...(options.precision === 'float16' && { loss_scale: scalar(2 ** 16) }),
    };
    const assign = Object.fromEntries(step.writes.map((name) => [slots.next(name), state.get(name) as Variable]));
    const start = performance.now();
    const used = process.cpuUsage();
    const { loss } = await session.run({ feeds, fetch: ['loss'], assign });
    const { user, system } = process.cpuUsage(used);
    if (i > 0) {
      times.push(performance.now() - start);
      work.push((user + system) / 1000);
    }
    losses.push((loss?.data as Float32Array)[0] as number);
  }
  const peak = process.resourceUsage().maxRSS * 1024 - before;
  await engine.close();
  return { times, work, peak, estimate: stepMemory(step).peak, losses };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

if (flags.child !== undefined) console.log(JSON.stringify(await measure(variants[flags.child] ?? {})));
else {
  const names = flags.variants.split(',');
  const found = new Map<string, Measured[]>(names.map((name) => [name, []]));
  for (let round = 0; round < Number(flags.rounds); round++)
    for (const name of names) {
      const argv = [...process.execArgv, ...process.argv.slice(1), '--child', name];
      found.get(name)?.push(JSON.parse(execFileSync(process.execPath, argv, { encoding: 'utf8' })) as Measured);
    }
  const [first] = [...found.values()];
  for (const [name, runs] of found) {
    const ratios = (of: 'times' | 'work') =>
      runs.map((run, i) => (median(run[of]) / median(first?.[i]?.[of] ?? [])).toFixed(2)).join(', ');
    const [time, work] = [runs.flatMap(({ times }) => times), runs.flatMap(({ work }) => work)].map(median);
    const peaks = runs.map(({ peak }) => Math.round(peak / 1e6)).join(', ');
    const estimate = Math.round((runs[0]?.estimate ?? 0) / 1e6);
    const isSame = runs.every(({ losses }) => losses.every((loss, i) => loss === first?.[0]?.losses[i]));
    console.log(
      `${name.padEnd(10)} ${time?.toFixed(0)} ms/step (ratios ${ratios('times')}), ${work?.toFixed(0)} ms of processors (ratios ${ratios('work')})`,
    );
    console.log(
      `           peak ${peaks} MB, estimate of inner values ${estimate} MB, losses ${isSame ? 'the same' : 'others'}`,
    );
  }
}
