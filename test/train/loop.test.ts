/** The training loop on real engines: progress, the best kept, stops and resumes, and the same bits every time. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/index.ts';
import { openEngine, type Engine, type Session } from '../../src/engine/index.ts';
import { tensorOf } from '../../src/graph/index.ts';
import { loadState, type FedBatch } from '../../src/train/index.ts';
import { distance } from '../support/golden.ts';
import { tinyOptions, tinyRun, type TinyRun, type TinySetup } from './tiny-training.ts';

/** Steps of an epoch of 14 examples in batches of 4. */
const EPOCH = 4;

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 2 });
});
after(() => engine.close());

async function finished(t: TestContext, setup: TinySetup, on = engine): Promise<TinyRun> {
  const run = await tinyRun(t);
  await run.start(on, setup);
  return run;
}

/** The loss times the number. */
const times: NonNullable<TinySetup['lossOf']> = ({ g }, loss, number) => g.mul(loss, number);

const losses = ({ log }: TinyRun) => log.flatMap(({ loss }) => (loss === undefined ? [] : [loss]));
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('a training', () => {
  it('lowers the loss, and logs every step', async (t) => {
    const epochs = 10;
    const run = await finished(t, { options: { epochs } });
    const all = losses(run);
    assert.equal(all.length, epochs * EPOCH);
    assert.ok(mean(all.slice(-EPOCH)) < 0.5 * mean(all.slice(0, EPOCH)), `losses ${all.join(', ')}`);
    // The fourth of the first steps, which are all warm-up; then their evaluation; then the first at the full rate.
    const [fourth, evaluation, fifth] = run.log.slice(3);
    assert.deepEqual([fourth!.step, evaluation!.step, fifth!.step, fifth!.epoch], [4, 4, 5, 5 / EPOCH]);
    assert.deepEqual([fourth!['learning_rate'], fifth!['learning_rate']], [0.015, tinyOptions.learningRate]);
    assert.ok(fifth!['gradient_norm']! > 0);
  });

  it('evaluates after each epoch and keeps the best', async (t) => {
    const run = await tinyRun(t);
    const result = await run.start(engine, { scores: [0.5, 0.9, 0.7] });
    const { seconds, cpuSeconds, ...rest } = result;
    assert.deepEqual(rest, { steps: 3 * EPOCH, best: { step: 2 * EPOCH, metrics: { elements: 2, score: 0.9 } } });
    assert.ok(seconds > 0 && seconds < 60, `${seconds} seconds`);
    assert.ok(cpuSeconds! > 0 && cpuSeconds! < 60, `${cpuSeconds} seconds of the processors`);
    assert.equal(run.bests.length, 2);
    assert.deepEqual(
      run.log.filter((entry) => 'dev_score' in entry),
      [0.5, 0.9, 0.7].map((score, i) => ({ step: (i + 1) * EPOCH, epoch: i + 1, dev_elements: 2, dev_score: score })),
    );
    // The caller removes it, once the result is kept.
    assert.equal((await loadState(run.statePath))?.position.step, 3 * EPOCH);
  });

  it('keeps the first of equally good ones', async (t) => {
    const run = await tinyRun(t);
    const { best } = await run.start(engine, { scores: [0.5, 0.5, 0.5] });
    assert.equal(best.step, EPOCH);
  });

  it('keeps the lowest where lower is better', async (t) => {
    const run = await tinyRun(t);
    const { best } = await run.start(engine, { scores: [0.5, 0.2, 0.2], better: 'lower' });
    assert.deepEqual([best.step, best.metrics['score'], run.bests.length], [2 * EPOCH, 0.2, 2]);
  });

  it('measures nothing when asked not to, and keeps the last', async (t) => {
    const [run, measured] = [await tinyRun(t), await finished(t, {})];
    const { best } = await run.start(engine, { scores: [], options: { evaluate: 'none' } });
    assert.deepEqual(best, { step: 3 * EPOCH, metrics: {} });
    assert.equal(run.bests.length, 1);
    // The scores of the other run rise: its last parameters are its best ones.
    assert.deepEqual(run.bests[0], measured.bests.at(-1));
    assert.ok(run.log.every((entry) => 'loss' in entry));
    assert.equal(run.log.length, 3 * EPOCH);
  });

  it('reads constants that stay as they are', async (t) => {
    const lossOf: TinySetup['lossOf'] = ({ g, input }, loss) => g.mul(loss, g.total(input('factors', g.float, [2])));
    const factors = tensorOf('float32', [2], [0.25, 0.75]);
    const run = await finished(t, { lossOf, frozen: new Map([['factors', factors]]) });
    const plain = await finished(t, {});
    assert.deepEqual(losses(run), losses(plain));
    assert.ok(!(await loadState(run.statePath))!.values.has('factors'));
    const twice = tensorOf('float32', [2], [0.5, 1.5]);
    const other = await finished(t, { lossOf, frozen: new Map([['factors', twice]]) });
    assert.equal(losses(other)[0], 2 * losses(plain)[0]!);
  });

  it('says what a batch is to those who feed more', async (t) => {
    const fed: FedBatch[] = [];
    const feed: TinySetup['feed'] = (_, batch) => (fed.push(batch), 1);
    await finished(t, { feed, lossOf: times, longest: 12, options: { epochs: 1, accumulate: 2 } });
    assert.deepEqual(
      fed.map(({ position }) => position),
      [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
      ],
    );
    // 14 examples in batches of 4: the last rows of one batch are filler, which repeats examples of it.
    assert.deepEqual(fed.map(({ examples }) => examples).sort(), [2, 4, 4, 4]);
    const seen = fed.flatMap(({ rows, examples }) => rows.slice(0, examples));
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      Array.from({ length: 14 }, (_, i) => i),
    );
    for (const { rows, examples, bucket, tensors } of fed) {
      assert.equal(rows.length, 4);
      assert.ok(rows.slice(examples).every((row) => rows.slice(0, examples).includes(row)));
      assert.deepEqual(tensors.input_ids.dims, [bucket.rows, bucket.length]);
      assert.deepEqual(
        Array.from(tensors.weights.data),
        rows.map((_, i) => Number(i < examples)),
      );
      // The examples of a batch are those of its rows: odd ones begin with 5.
      rows.forEach((row, i) => assert.equal(tensors.input_ids.data[i * bucket.length], row % 2 === 1 ? 5n : 6n));
    }
  });

  it('evaluates once when asked to at the end', async (t) => {
    const run = await tinyRun(t);
    const { best } = await run.start(engine, { scores: [0.1, 2], options: { evaluate: 'end' } });
    assert.deepEqual([best.step, best.metrics['score'], run.bests.length], [3 * EPOCH, 0.1, 1]);
  });

  it('draws other masks at each step and for each seed', async (t) => {
    // The same examples in each step, and weights that stay: only masks make a difference.
    const setup = { examples: 4, options: { learningRate: 0 } };
    const still = losses(await finished(t, { ...setup, dropout: false }));
    const masked = losses(await finished(t, setup));
    const other = losses(await finished(t, { ...setup, options: { ...setup.options, seed: 2 } }));
    const gaps = (values: readonly number[]) => {
      const sorted = values.toSorted((a, b) => a - b);
      return sorted.slice(1).map((value, i) => value - sorted[i]!);
    };
    assert.ok(Math.max(...gaps(still)) < 1e-6, `losses ${still.join(', ')}`);
    assert.ok(Math.min(...gaps([...masked, ...other])) > 1e-5, `losses ${[...masked, ...other].join(', ')}`);
  });

  it('gives back every session and variable', async (t) => {
    const live = { sessions: 0, variables: 0, most: 0 };
    const counting: Engine = {
      ...engine,
      async createSession(...words) {
        const session = await engine.createSession(...words);
        live.most = Math.max(live.most, ++live.sessions);
        return { ...session, release: () => (live.sessions--, session.release()) };
      },
      storeAll: (values) => ((live.variables += values.length), engine.storeAll(values)),
      free: (variables) => ((live.variables -= variables.length), engine.free(variables)),
    };
    await finished(t, { examples: 19, longest: 12, options: { epochs: 1, accumulate: 3 } }, counting);
    // Two padded lengths; batches that are added up, the last of three, and the last of the two that are left.
    assert.ok(live.most >= 3 && live.most <= 6, `${live.most} sessions`);
    await assert.rejects(finished(t, { lossOf: times, feed: () => NaN }, counting), { code: 'loss-not-finite' });
    const failing: Engine = { ...counting, createSession: () => Promise.reject(new Error('no memory')) };
    await assert.rejects(finished(t, {}, failing), /^Error: no memory$/);
    assert.deepEqual([live.sessions, live.variables], [0, 0]);
  });
});

describe('sessions', () => {
  /** Computes nothing; refuses what cannot be done to a session. */
  function pretence(): { engine: Engine; counts: { live: number; most: number; made: number; runs: number } } {
    const counts = { live: 0, most: 0, made: 0, runs: 0 };
    const one = tensorOf('float32', [], [1]);
    const createSession = (): Promise<Session> => {
      const own = { running: 0, isReleased: false };
      counts.made++;
      counts.most = Math.max(counts.most, ++counts.live);
      return Promise.resolve({
        inputs: [],
        outputs: [],
        async run({ fetch }) {
          assert.ok(!own.isReleased, 'run after release');
          own.running++;
          counts.runs++;
          await setImmediate();
          own.running--;
          return Object.fromEntries(fetch.map((name) => [name, one]));
        },
        release() {
          assert.deepEqual(own, { running: 0, isReleased: false });
          own.isReleased = true;
          counts.live--;
          return Promise.resolve();
        },
      });
    };
    const storeAll: Engine['storeAll'] = (values) =>
      Promise.resolve(values.map(({ dtype, dims }, id) => ({ id, dtype, dims })));
    const read: Engine['read'] = (variables) => Promise.resolve(variables.map(() => one));
    return { engine: { ...engine, createSession, storeAll, read, free: () => Promise.resolve() }, counts };
  }

  it('of many padded lengths are made, kept and released in time', async (t) => {
    const { engine: fake, counts } = pretence();
    const lossOf: TinySetup['lossOf'] = ({ g, parameter }) => g.total(parameter('classifier.bias'));
    const options = { epochs: 4, batch: 1, accumulate: 3, maxLength: 256 };
    await finished(t, { examples: 60, longest: 256, lossOf, options }, fake);
    assert.equal(counts.runs, 4 * 60);
    assert.deepEqual([counts.live, counts.most], [0, 12]);
    assert.ok(counts.made > 24 && counts.made < counts.runs, `${counts.made} sessions`);
  });
});

describe('gradient accumulation', () => {
  // The noise of gradients that are 0 in theory must not be divided by its own size.
  const options = { epochs: 5, adamw: { ...tinyOptions.adamw, epsilon: 1e-3 } };
  for (const accumulate of [2, 4])
    it(`over ${accumulate} batches is one batch of all their examples`, async (t) => {
      const setup = { examples: 8, dropout: false };
      const whole = await finished(t, { ...setup, options: { ...options, batch: 8 } });
      const parts = await finished(t, { ...setup, options: { ...options, batch: 8 / accumulate, accumulate } });
      losses(whole).forEach((loss, i) => assert.ok(Math.abs(loss - losses(parts)[i]!) < 1e-5));
      for (const [name, value] of whole.bests.at(-1)!) {
        const error = distance(parts.bests.at(-1)!.get(name)!, value);
        assert.ok(error < 1e-5, `${name} differs by ${error}`);
      }
    });
});

describe('a run that is stopped', () => {
  const setups: Readonly<Record<string, readonly [TinySetup, stops: number[]]>> = {
    'with dropout and two padded lengths': [{ longest: 12 }, [2, EPOCH, 7]],
    // Three steps to an epoch, the last of one batch.
    'with gradients of two batches added': [{ examples: 18, options: { accumulate: 2 } }, [5]],
  };
  for (const [title, [setup, stops]] of Object.entries(setups))
    it(`goes on to the bits of one that is not, ${title}`, async (t) => {
      const whole = await finished(t, setup);
      const parts = await tinyRun(t);
      let [before, workBefore] = [0, 0];
      for (const stop of stops) {
        const afterStep: TinySetup['afterStep'] = (step, controller) => step === stop && controller.abort();
        await assert.rejects(parts.start(engine, { ...setup, afterStep }), { name: 'AbortError' });
        const { step, seconds, cpuSeconds } = (await loadState(parts.statePath))!.position;
        assert.equal(step, stop);
        assert.ok(seconds > before && cpuSeconds! > workBefore, 'the time of all starts is added up');
        [before, workBefore] = [seconds, cpuSeconds!];
      }
      const { seconds, cpuSeconds } = await parts.start(engine, setup);
      assert.ok(seconds > before && cpuSeconds! > workBefore);
      assert.deepEqual(parts.log, whole.log);
      assert.deepEqual(parts.bests.at(-1), whole.bests.at(-1));
    });

  it('does not tell the work of processors when a start of it did not', async (t) => {
    const run = await tinyRun(t);
    const afterStep: TinySetup['afterStep'] = (step, controller) => step === 2 && controller.abort();
    await assert.rejects(run.start(engine, { afterStep }), { name: 'AbortError' });
    const { tensors, metadata } = await readSafetensors(run.statePath);
    const { cpuSeconds, ...position } = JSON.parse(metadata['position']!) as Record<string, number>;
    assert.ok(cpuSeconds! > 0);
    await writeSafetensors(run.statePath, tensors, { position: JSON.stringify(position) });
    const result = await run.start(engine, {});
    assert.deepEqual([result.seconds > position['seconds']!, result.cpuSeconds], [true, undefined]);
  });

  it('by a failure goes on from the last save', async (t) => {
    const whole = await finished(t, {});
    const parts = await tinyRun(t);
    const afterStep = (step: number) => {
      if (step === 7) throw new Error('power cut');
    };
    await assert.rejects(parts.start(engine, { afterStep, options: { saveEvery: 0 } }), /power cut/);
    assert.equal((await loadState(parts.statePath))?.position.step, 6);
    await parts.start(engine);
    assert.deepEqual(parts.log, whole.log);
    assert.deepEqual(parts.bests.at(-1), whole.bests.at(-1));
  });

  it('after its last step has nothing left to do', async (t) => {
    const run = await tinyRun(t);
    const last = 3 * EPOCH;
    const stopped = run.start(engine, {
      scores: [0.5, 0.9, 0.7],
      afterStep: (step, controller) => step === last && controller.abort(),
    });
    await assert.rejects(stopped, { name: 'AbortError' });
    const kept = run.bests.length;
    const { steps, best } = await run.start(engine, { scores: [] });
    assert.deepEqual([steps, best.step, best.metrics['score'], run.bests.length], [last, 2 * EPOCH, 0.9, kept]);
    assert.equal((await loadState(run.statePath))?.position.step, last);
  });
});

describe('a loss that is not finite', () => {
  /** Where the number is 0 the loss is not changed, but its gradient is 0/0. */
  const root: NonNullable<TinySetup['lossOf']> = ({ g, parameter }, loss, number) => {
    const weight = parameter('classifier.weight');
    return g.add(loss, g.op('Sqrt', [g.mul(g.total(g.mul(weight, weight)), number)]));
  };
  const cases: Readonly<Record<string, readonly [TinySetup, RegExp]>> = {
    'ends the run, and leaves the best': [
      { lossOf: times, feed: (batch) => (batch === EPOCH + 2 ? NaN : 1) },
      /^the loss became NaN at step 7; the best checkpoint \(step 4\) is kept$/,
    ],
    'may be infinite': [
      { lossOf: times, feed: (batch) => (batch === EPOCH ? Infinity : 1) },
      /^the loss became Infinity at step 5; the best checkpoint \(step 4\) is kept$/,
    ],
    'at once leaves nothing': [
      { lossOf: times, feed: () => NaN },
      /^the loss became NaN at step 1; no checkpoint had been written yet$/,
    ],
    'is foretold by its gradient': [
      { lossOf: root, feed: (batch) => (batch === 2 * EPOCH - 1 ? 0 : 1) },
      /^the gradient norm became NaN at step 8; the best checkpoint \(step 4\) is kept$/,
    ],
  };
  for (const [title, [setup, message]] of Object.entries(cases))
    it(title, async (t) => {
      const run = await tinyRun(t);
      await assert.rejects(run.start(engine, setup), { code: 'loss-not-finite', message });
      const kept = /step 4/.test(message.source);
      assert.equal(run.bests.length, kept ? 1 : 0);
      for (const value of run.bests[0]?.values() ?? [])
        assert.ok((value.data as Float32Array).every((number) => Number.isFinite(number)));
      assert.equal((await loadState(run.statePath))?.position.step, kept ? EPOCH : undefined);
    });
});

describe('the same bits', () => {
  const setup: TinySetup = { longest: 12, options: { epochs: 2 } };
  let first: TinyRun;
  it('from the same seed', async (t) => {
    first = await finished(t, setup);
    const second = await finished(t, setup);
    assert.deepEqual(second.bests, first.bests);
    assert.deepEqual(second.log, first.log);
  });

  it('not from another seed', async (t) => {
    const other = await finished(t, { ...setup, options: { ...setup.options, seed: 2 } });
    assert.notDeepEqual(losses(other), losses(first));
  });

  it('from the Node binding', async (t) => {
    const binding = await openEngine({ device: 'cpu', backend: 'binding', threads: 2 });
    try {
      const other = await finished(t, setup, binding);
      assert.deepEqual(other.bests, first.bests);
      assert.deepEqual(other.log, first.log);
    } finally {
      await binding.close();
    }
  });
});
