/**
 * Examples per second of distillation (KD, the teacher's logits at hand, sentences of their own lengths), kdx against a plain
 * PyTorch loop with dynamic padding: kdx's own training loop and PyTorch's take turns, some steps each, after 150 steps in
 * which the graphs for nearly all lengths are built.
 *
 *   node --conditions=source --import tsx test/perf/distill.ts --python PATH --teacher FOLDER --data SST-2 [--task sst2]
 *     [--layers 3] [--batch 32] [--attention sdpa|eager] [--rounds 20] [--steps 10] [--threads 2]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkDistillRecipe } from '../../plugins/distill/src/recipe/resolve.ts';
import { runStage } from '../../plugins/distill/src/stage.ts';
import { openSource } from '../../src/classifier/index.ts';
import { encodeExamples, loadTaskData, randomStream, type EncodedExamples } from '../../src/data/index.ts';
import { openEngine } from '../../src/engine/index.ts';
import { plainPlan } from '../../src/nn/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { medianInterval } from '../../src/timing/index.ts';

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string' },
    teacher: { type: 'string' },
    data: { type: 'string' },
    task: { type: 'string', default: 'sst2' },
    layers: { type: 'string', default: '3' },
    batch: { type: 'string', default: '32' },
    attention: { type: 'string', default: 'sdpa' },
    rounds: { type: 'string', default: '20' },
    steps: { type: 'string', default: '10' },
    threads: { type: 'string', default: '2' },
  },
});
const { python, teacher, data: folder } = flags;
if (python === undefined || teacher === undefined || folder === undefined)
  throw new Error('--python, --teacher and --data are needed');
const [threads, batch, layers, rounds, perRound] = [
  flags.threads,
  flags.batch,
  flags.layers,
  flags.rounds,
  flags.steps,
].map(Number) as [number, number, number, number, number];
const MAX_LENGTH = 128;
/** In which the graphs for nearly all lengths are built. */
const WARM_UP = 150;

const source = await openSource(teacher);
const task = await loadTaskData({ task: flags.task, dir: folder }, { splits: ['train'] });
const examples = encodeExamples(source.tokenizer, task.train, MAX_LENGTH);
const config = { ...source.config, layerPlan: plainPlan(layers) };
const random = randomStream(0, 'logits of the teacher');
const logits = Float32Array.from({ length: examples.count * config.labels.length }, () => 4 * random.nextFloat() - 2);

const work = await mkdtemp(join(tmpdir(), 'kdx-perf-'));
const torch = await startTorch();
const engine = await openEngine({ device: 'cpu', threads });
console.log(`${engine.name}; ${engine.device.description}`);
console.log(JSON.stringify(await torch.ask('info')));

/** Thrown to end the training when enough was measured. */
const enough = new Error('enough');
const rates = { kdx: [] as number[], torch: [] as number[] };
let steps = 0;
let turnBegan = 0;

/** Called after each step of kdx, while nothing of it runs. */
async function afterStep(): Promise<void> {
  steps++;
  if (steps > WARM_UP && (steps - WARM_UP) % perRound === 0) await takeTurn();
  if (steps === WARM_UP) turnBegan = performance.now();
}

async function takeTurn(): Promise<void> {
  rates.kdx.push((perRound * batch) / ((performance.now() - turnBegan) / 1000));
  const { examples: seen, seconds } = await torch.ask(`steps ${perRound}`);
  rates.torch.push(Number(seen) / Number(seconds));
  if (rates.torch.length === rounds) throw enough;
  turnBegan = performance.now();
}

await torch.ask('steps 20');
try {
  const { recipe } = await checkDistillRecipe({ method: 'kd', set: [], flags: { student: { layers } } });
  const stage = { ...recipe!.stages[0]!, keep: 'last' as const };
  await runStage({
    engine,
    progress: silentProgress,
    signal: new AbortController().signal,
    recipe: stage,
    train: { ...recipe!.train, batch, maxLength: MAX_LENGTH, saveEvery: 1e9, epochs: 10 },
    config,
    weights: source.checkpoint!.weights,
    teachers: [{ ref: 'teacher', config: source.config } as never],
    data: {
      train: examples,
      teacherRows: [
        {
          cached: true,
          rows: new Map([['logits', { dtype: 'float32', dims: [examples.count, config.labels.length], data: logits }]]),
        },
      ],
      vocabulary: undefined as never,
    },
    folder: { file: (name: string) => join(work, name), metrics: async () => ({ append: afterStep }) } as never,
    stepsBefore: 0,
    keep: async () => undefined,
  });
} catch (error) {
  if (error !== enough) throw error;
} finally {
  await engine.close();
  torch.end();
  await rm(work, { recursive: true });
}

const ratios = rates.kdx.map((rate, i) => rate / (rates.torch[i] as number));
const text = (values: readonly number[]) => {
  const sorted = [...values].sort((a, b) => a - b);
  const interval = medianInterval(values, { seed: 0 });
  return `${sorted[values.length >> 1]!.toFixed(2)} [${interval!.map((value) => value.toFixed(2)).join(', ')}]`;
};
console.log(`kdx     examples/s ${text(rates.kdx)}`);
console.log(`PyTorch examples/s ${text(rates.torch)}`);
console.log(`kdx / PyTorch per round: ${text(ratios)}, ${ratios.length} rounds of ${perRound} steps of ${batch}`);

async function startTorch() {
  const input = join(work, 'examples.json');
  await writeFile(input, JSON.stringify(plain(examples)));
  const script = fileURLToPath(new URL('torch_distill.py', import.meta.url));
  const { hiddenSize, heads, intermediateSize, vocabSize, maxPositions } = config;
  const shape = { layers, hiddenSize, heads, intermediateSize, vocabSize, maxPositions };
  const child = spawn(
    python!,
    [
      script,
      input,
      JSON.stringify(shape),
      '--threads',
      String(threads),
      '--batch',
      String(batch),
      '--attention',
      flags.attention,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(line: string) {
      child.stdin.write(`${line}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error('the PyTorch process ended');
      return JSON.parse(value) as Record<string, unknown>;
    },
    end: () => void (child.stdin.end('quit\n'), once(child, 'exit')),
  };
}

/** Ids, labels and teacher logits as lists. */
function plain({ ids, offsets, labels, count }: EncodedExamples) {
  const classes = config.labels.length;
  return {
    ids: Array.from({ length: count }, (_, i) => Array.from(ids.subarray(offsets[i], offsets[i + 1]))),
    labels: Array.from(labels),
    logits: Array.from({ length: count }, (_, i) => Array.from(logits.subarray(i * classes, (i + 1) * classes))),
  };
}
