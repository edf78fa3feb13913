/** Steps with float16 products: loss scaling, overflows that change nothing, and runs that go on to the same bits. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { firstLossScale, loadState, nextLossScale, type StepOptions } from '../../src/train/index.ts';
import { distance } from '../support/golden.ts';
import { drive, objectiveOf, plainOptions, type Run } from './driven-step.ts';
import { tinyRun, type TinyRun, type TinySetup } from './tiny-training.ts';

const half: StepOptions = { ...plainOptions, precision: 'float16' };
const scaled = (scale: number, options = half): Run => ({ options, feeds: { loss_scale: scale }, rounded: true });

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 2 });
});
after(() => engine.close());

describe('a step with float16 products', () => {
  const objective = objectiveOf();

  it('does what one with float32 products does, nearly', async () => {
    const runs = 12;
    const whole = await drive(
      engine,
      objective,
      Array.from({ length: runs }, () => ({ options: plainOptions })),
    );
    const rounded = await drive(
      engine,
      objective,
      Array.from({ length: runs }, () => scaled(2 ** 16)),
    );
    whole.results.forEach(({ loss, gradient_norm: norm }, i) => {
      const found = rounded.results[i]!;
      assert.ok(Math.abs(found['loss']! / loss! - 1) < 0.01, `loss ${found['loss']}, ${loss} in float32`);
      assert.ok(Math.abs(found['gradient_norm']! / norm! - 1) < 0.05, `${found['gradient_norm']}, ${norm} in float32`);
    });
    assert.notDeepEqual(rounded.results, whole.results);
  });

  it('loses small gradients without scaling, and not with it', async () => {
    const tiny = objectiveOf(undefined, ({ g }) => g.scalar(0));
    const faint = { ...tiny, loss: (context: Parameters<typeof tiny.loss>[0]) => ({ loss: context.g.scale(tiny.loss(context).loss, 2 ** -22) }) }; // prettier-ignore
    const [whole, lost, kept] = [{ options: plainOptions }, scaled(1), scaled(2 ** 20)].map((run) => drive(engine, faint, [run])); // prettier-ignore
    // With β1·0 + g the first moment of the first step is the gradient.
    const name = 'moment1/bert.encoder.layer.0.intermediate.dense.weight';
    const [expected, small, right] = (await Promise.all([whole!, lost!, kept!])).map(({ state }) => state.get(name)!);
    const size = Math.max(...(expected!.data as Float32Array).map(Math.abs));
    assert.ok(distance(right!, expected!) < 0.02 * size, `${distance(right!, expected!)} of ${size}`);
    assert.ok(distance(small!, expected!) > 0.2 * size, `${distance(small!, expected!)} of ${size}`);
  });

  it('leaves all state as it is when gradients overflow', async () => {
    const before = await drive(engine, objective, [scaled(2 ** 16), scaled(2 ** 16)]);
    const after = await drive(engine, objective, [scaled(2 ** 16), scaled(2 ** 16), scaled(2 ** 30)]);
    const { loss, gradient_norm: norm } = after.results[2]!;
    assert.ok(Number.isFinite(loss) && !Number.isFinite(norm), `loss ${loss}, gradient norm ${norm}`);
    assert.deepEqual(after.state, before.state);
    for (const [name, { data }] of before.state)
      assert.deepEqual(bits(after.state.get(name)!.data as Float32Array), bits(data as Float32Array), name);
  });

  it('drops the sums of batches with it', async () => {
    const sum: StepOptions = { ...half, mode: 'accumulate' };
    const last: StepOptions = { ...half, mode: 'update-accumulated', batches: 2 };
    const before = await drive(engine, objective, [scaled(2 ** 16)]);
    const after = await drive(engine, objective, [scaled(2 ** 16), scaled(2 ** 30, sum), scaled(2 ** 30, last)]);
    assert.ok(!Number.isFinite(after.results[2]!['gradient_norm']));
    assert.deepEqual(after.state, before.state);
  });

  it('divides what it adds up by the scale', async () => {
    const sum: StepOptions = { ...half, mode: 'accumulate' };
    const last: StepOptions = { ...half, mode: 'update-accumulated', batches: 2 };
    const results = [];
    for (const scale of [2 ** 10, 2 ** 12])
      results.push((await drive(engine, objective, [scaled(scale, sum), scaled(scale, last)])).results[1]!);
    const [one, four] = results.map(({ gradient_norm: norm }) => norm!);
    assert.ok(Math.abs(one! / four! - 1) < 1e-3 && one! > 0.1, `${one}, ${four}`);
  });

  it('may compute inner values again, to the same bits', async () => {
    const runs = (options: StepOptions) => Array.from({ length: 3 }, () => scaled(2 ** 16, options));
    assert.deepEqual(await drive(engine, objective, runs({ ...half, recompute: true })), await drive(engine, objective, runs(half))); // prettier-ignore
  });
});

function bits(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

describe('the loss scale', () => {
  it('is halved by an overflow and doubled after 2000 good steps', () => {
    let scale = nextLossScale(firstLossScale, true);
    assert.deepEqual(scale, { scale: 2 ** 15, good: 0, skipped: 1 });
    for (let i = 0; i < 1999; i++) scale = nextLossScale(scale, false);
    assert.deepEqual(scale, { scale: 2 ** 15, good: 1999, skipped: 1 });
    assert.deepEqual(nextLossScale(scale, true), { scale: 2 ** 14, good: 0, skipped: 2 });
    assert.deepEqual(nextLossScale(scale, false), { scale: 2 ** 16, good: 0, skipped: 1 });
  });

  it('does not grow without end', () => {
    const { scale } = nextLossScale({ scale: 2 ** 24, good: 1999, skipped: 0 }, false);
    assert.equal(scale, 2 ** 24);
  });
});

describe('a training with float16 products', () => {
  const options = { precision: 'float16' } as const;
  /** The gradient of one batch becomes too large for float16, and not for float32. */
  const spike = (at: number): TinySetup => ({
    options,
    lossOf: ({ g }, loss, number) => g.mul(loss, number),
    feed: (batch) => (batch === at ? 1e6 : 1),
  });
  const scales = ({ log }: TinyRun) => log.flatMap((entry) => entry['loss_scale'] ?? []);

  async function finished(t: TestContext, setup: TinySetup) {
    const run = await tinyRun(t);
    return { ...run, result: await run.start(engine, setup) };
  }

  it('leaves out a step whose gradients overflow, and goes on with half the scale', async (t) => {
    const { log, result, statePath, ...run } = await finished(t, spike(5));
    assert.deepEqual([result.steps, result.skipped], [12, 1]);
    assert.deepEqual(scales({ ...run, log, statePath }), [
      ...Array<number>(6).fill(2 ** 16),
      ...Array<number>(6).fill(2 ** 15),
    ]);
    const sixth = log.find(({ step }) => step === 6)!;
    assert.ok(!('gradient_norm' in sixth) && sixth['loss']! > 1e4);
    assert.ok(log.every((entry) => Object.values(entry).every(Number.isFinite)));
    const saved = (await loadState(statePath))!.position;
    assert.deepEqual(saved.lossScale, { scale: 2 ** 15, good: 6, skipped: 1 });
  });

  it('begins to correct its moments when there is something in them', async (t) => {
    // The first step is left out, and its rate of 0 changes nothing in float32 but the moments.
    const setup = {
      dropout: false,
      examples: 4,
      options: { ...options, schedule: { name: 'constant', warmup: 0 } },
    } as const;
    const [late, plain] = [await finished(t, { ...spike(0), ...setup }), await finished(t, { ...setup })];
    const losses = ({ log }: TinyRun) => log.flatMap(({ loss }) => loss ?? []);
    // The same examples in each step: the second update is the first one of the run without an overflow.
    const [expected, found] = [losses(plain), losses(late).slice(1)];
    assert.equal(found.length, 2);
    found.forEach((loss, i) => assert.ok(Math.abs(loss - expected[i]!) < 1e-5, `${loss}, not ${expected[i]}`));
  });

  it('that is stopped goes on to the bits of one that is not', async (t) => {
    const whole = await finished(t, spike(2));
    const parts = await tinyRun(t);
    for (const stop of [3, 7]) {
      const batches = (await loadState(parts.statePath))?.position.step ?? 0;
      const stopping = parts.start(engine, { ...spike(2 - batches), afterStep: (step, controller) => step === stop && controller.abort() }); // prettier-ignore
      await assert.rejects(stopping, { name: 'AbortError' });
      assert.equal((await loadState(parts.statePath))!.position.lossScale!.skipped, 1);
    }
    await parts.start(engine, spike(-1));
    assert.deepEqual(parts.log, whole.log);
    assert.deepEqual(parts.bests.at(-1), whole.bests.at(-1));
  });

  it('that overflows at any scale ends', async (t) => {
    const run = await tinyRun(t);
    const setup = { ...spike(-1), feed: () => 1e30, options: { ...options, epochs: 10 } };
    await assert.rejects(run.start(engine, setup), {
      code: 'loss-not-finite',
      message: /^the gradients overflowed float16 without any loss scaling at step 17; /,
    });
  });

  it('whose loss is not finite ends at once', async (t) => {
    const run = await tinyRun(t);
    await assert.rejects(
      run.start(engine, { ...spike(-1), feed: () => Infinity }),
      (error: { suggestions: string[] }) => {
        assert.match(String(error), /the loss became Infinity at step 1/);
        return error.suggestions.some((line) => line.startsWith('--precision float32'));
      },
    );
  });

  it('is not what a training without it is said to be', async (t) => {
    const { result, log } = await finished(t, {});
    assert.ok(!('skipped' in result));
    assert.ok(log.every((entry) => !('loss_scale' in entry)));
  });
});
