/**
 * Time of one training step of workload P (BERT with 4 layers, hidden 312, FFN 1200, 12 heads, vocabulary 30522, batch
 * 32 x length 64, AdamW over all 14.3 M parameters), in rounds interleaved with the raw matrix products of the step and,
 * with --python PATH, with PyTorch.
 *
 *   node --conditions=source --import tsx test/perf/train-step.ts [--python PATH] [--attention eager|sdpa]
 *     [--dropout P] [--rounds N] [--threads N] [--backend auto|capi|binding] [--memory]
 *
 * --memory leaves the raw products out, and tells the peak memory of either process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openEngine, type Engine, type Variable } from '../../src/engine/index.ts';
import { elementCount, modelOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import { plainPlan } from '../../src/nn/index.ts';
import { GraphBuilder } from '../../src/ops/index.ts';
import { adamwScalars } from '../../src/optim/index.ts';
import { drawMasks } from '../../src/train/masks.ts';
import { buildStep, slots } from '../../src/train/step.ts';
import { seeded } from '../support/seeded.ts';
import { classifierObjective, firstState, randomBatch } from './random-training.ts';

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string' },
    attention: { type: 'string', default: 'eager' },
    dropout: { type: 'string', default: '0' },
    rounds: { type: 'string', default: '15' },
    steps: { type: 'string', default: '2' },
    threads: { type: 'string', default: '2' },
    backend: { type: 'string', default: 'auto' },
    memory: { type: 'boolean', default: false },
  },
});
const dropout = Number(flags.dropout);
const stepsPerRound = Number(flags.steps);
const threads = Number(flags.threads);

const bucket = { rows: 32, length: 64 };
const architecture = {
  vocabSize: 30522,
  hiddenSize: 312,
  heads: 12,
  intermediateSize: 1200,
  activation: 'gelu' as const,
  maxPositions: 512,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  initializerRange: 0.02,
  hiddenDropout: dropout,
  attentionDropout: dropout,
  classifierDropout: dropout,
  layerPlan: plainPlan(4),
};
const adamw = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };
const random = seeded(1);

/** Runs n times; the time per run in milliseconds. */
type Subject = (runs: number) => Promise<number[]>;

async function timed(runs: number, run: (index: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await run(i);
    times.push(performance.now() - start);
  }
  return times;
}

async function kdxStep(engine: Engine): Promise<Subject> {
  const objective = classifierObjective(architecture);
  const step = buildStep(objective, bucket, { adamw, clipNorm: 1, mode: 'update' });
  const session = await engine.createSession(step.model, { inPlace: true });
  const state = await firstState(engine, objective.parameters, random);
  const batch = randomBatch(bucket, random);
  const variables = (names: readonly string[]) =>
    Object.fromEntries(names.map((name) => [name, state.get(name) as Variable]));
  let done = 0;
  const feedsOf = (index: number) => {
    const { stepSize, epsilon, shrink } = adamwScalars(adamw, index, 1e-4);
    const scalar = (value: number) => tensorOf('float32', [], [value]);
    return {
      ...batch,
      ...drawMasks(step.dropout, 1, [index]),
      ...variables(step.reads),
      step_size: scalar(stepSize),
      epsilon: scalar(epsilon),
      shrink: scalar(shrink),
    };
  };
  let next = feedsOf(1);
  return (runs) =>
    timed(runs, async () => {
      const running = session.run({
        feeds: next,
        fetch: ['loss'],
        assign: Object.fromEntries(step.writes.map((name) => [slots.next(name), state.get(name) as Variable])),
      });
      // As the training loop does: the masks of the next step are drawn while this one runs.
      next = feedsOf(++done + 1);
      const { loss } = await running;
      if (!Number.isFinite((loss?.data as Float32Array)[0])) throw new Error('the loss is not finite');
    });
}

/** The matrix products of a step alone, forward and both gradients: what no executor can go below. */
async function matmulCeiling(engine: Engine): Promise<Subject> {
  const tokens = bucket.rows * bucket.length;
  const { hiddenSize: h, intermediateSize: f, heads } = architecture;
  const products: [batch: number, m: number, k: number, n: number, count: number][] = [
    [1, tokens, h, h, 4],
    [1, tokens, h, f, 1],
    [1, tokens, f, h, 1],
    [bucket.rows * heads, bucket.length, h / heads, bucket.length, 1],
    [bucket.rows * heads, bucket.length, bucket.length, h / heads, 1],
  ];
  const g = new GraphBuilder();
  const filled = (dims: number[]) =>
    tensorOf(
      'float32',
      dims,
      new Float32Array(elementCount(dims)).map(() => random.float()),
    );
  const feeds: Record<string, Tensor> = {};
  let index = 0;
  for (const [batch, m, k, n, count] of products)
    for (let i = 0; i < 4 * count; i++)
      for (const [rows, inner, columns] of [
        [m, k, n],
        [m, n, k],
        [k, m, n],
      ] as const) {
        const lead = batch === 1 ? [] : [batch];
        const [a, b] = [`a${index}`, `b${index}`];
        feeds[a] = filled([...lead, rows, inner]);
        feeds[b] = filled([...lead, inner, columns]);
        const product = g.op('MatMul', [g.input(a, 'float32', feeds[a].dims), g.input(b, 'float32', feeds[b].dims)]);
        // One element each, so that nothing is copied out.
        const axes = product.shape.map((_, axis) => axis);
        g.output(
          `y${index++}`,
          g.op('Slice', [product, g.ints(axes.map(() => 0)), g.ints(axes.map(() => 1)), g.ints(axes)]),
        );
      }
  const session = await engine.createSession(modelOf(g.build('ceiling')));
  const variables: Record<string, Variable> = {};
  for (const [name, value] of Object.entries(feeds)) variables[name] = await engine.store(value);
  return (runs) => timed(runs, () => session.run({ feeds: variables, fetch: ['y0'] }));
}

interface Server {
  readonly run: Subject;
  memory(): Promise<number>;
  close(): Promise<void>;
}

async function torchServer(python: string): Promise<Server> {
  const script = fileURLToPath(new URL('torch_train_step.py', import.meta.url));
  const argv = [script, '--threads', String(threads), '--attention', flags.attention, '--dropout', String(dropout)];
  const child = spawn(python, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (line: string) => {
    child.stdin.write(`${line}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error('the PyTorch process ended');
    return JSON.parse(value) as { seconds: number[]; bytes: number };
  };
  console.log(JSON.stringify(await ask('info')));
  return {
    run: async (runs) => (await ask(`step ${runs}`)).seconds.map((seconds) => seconds * 1000),
    memory: async () => (await ask('memory')).bytes,
    async close() {
      child.stdin.end('quit\n');
      await once(child, 'exit');
    },
  };
}

function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q;
  const [low, high] = [sorted[Math.floor(at)] as number, sorted[Math.ceil(at)] as number];
  return low + (high - low) * (at - Math.floor(at));
}

function summary(values: readonly number[], digits: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  const [min, q1, median, q3, max] = [0, 0.25, 0.5, 0.75, 1].map((q) => quantile(sorted, q).toFixed(digits));
  return `median ${median} (quartiles ${q1} to ${q3}, range ${min} to ${max})`;
}

const engine = await openEngine({ device: 'cpu', threads, backend: flags.backend as 'auto' });
console.log(`${engine.name}; ${engine.device.description}; dropout ${dropout}`);
const torch = flags.python ? await torchServer(flags.python) : undefined;
const subjects: [string, Subject][] = [
  ['kdx', await kdxStep(engine)],
  ...(flags.memory ? [] : [['matmul', await matmulCeiling(engine)] as [string, Subject]]),
  ...(torch ? [['torch', torch.run] as [string, Subject]] : []),
];
for (const [, run] of subjects) await run(3);
const times = new Map<string, number[]>(subjects.map(([name]) => [name, []]));
for (let round = 0; round < Number(flags.rounds); round++)
  for (const [name, run] of [...subjects].sort(() => random.float() - 0.5)) {
    const perRound = await run(stepsPerRound);
    times.get(name)?.push(perRound.reduce((sum, value) => sum + value, 0) / perRound.length);
  }
for (const [name, values] of times) console.log(`${name.padEnd(8)} ms/step ${summary(values, 1)}`);
const kdx = times.get('kdx') as number[];
for (const other of ['matmul', 'torch']) {
  const values = times.get(other);
  if (values)
    console.log(
      `kdx/${other} per round ${summary(
        kdx.map((value, i) => value / (values[i] as number)),
        3,
      )}`,
    );
}
if (flags.memory) {
  console.log(`kdx      peak ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`);
  if (torch) console.log(`torch    peak ${((await torch.memory()) / 2 ** 20).toFixed(0)} MiB`);
}
await torch?.close();
await engine.close();
