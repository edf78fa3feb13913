/** What every engine does, as tests. An engine's test file calls this with a way to open it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test as nodeTest } from 'node:test';
import type { Engine, Session, SessionOptions, Variable } from '../../src/engine/index.ts';
import { allocate, numbersOf, tensorOf, type DType, type Tensor } from '../../src/graph/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { accumulate, f32, i64, int, matrixChain, model, string, trainingStep } from './graphs.ts';

type Numeric = Exclude<DType, 'string' | 'float16' | 'bfloat16' | 'int4' | 'uint4'>;

/**
 * @param skips reasons, by title, why an engine cannot do what a test asks for
 * @param spread by how much losses and weights of a training may differ from one time to the next
 */
export function engineContract(
  name: string,
  open: () => Promise<Engine>,
  skips: Readonly<Record<string, string>> = {},
  spread = 0,
): void {
  describe(`engine contract: ${name}`, () => {
    const titles = new Set<string>();
    const test = (title: string, run: () => Promise<void>, timeout = Infinity) => {
      titles.add(title);
      nodeTest(title, { timeout, ...(skips[title] !== undefined && { skip: skips[title] }) }, run);
    };
    let engine: Engine;
    before(async () => {
      engine = await open();
    });
    after(() => engine.close());

    const values = async (variable: Variable) => numbersOf((await engine.read([variable]))[0] as Tensor);
    const fetchOne = async (session: Session, feeds: Parameters<Session['run']>[0]['feeds'], output = 'y') =>
      (await session.run({ feeds, fetch: [output] }))[output] as Tensor;

    const samples: Readonly<Record<Numeric, number[]>> = {
      float32: [1.5, -2, 1e38],
      float64: [Math.PI, -1e300, 0],
      int8: [-128, 127, 0],
      uint8: [255, 1, 0],
      int16: [-32768, 32767, 1],
      uint16: [65535, 1, 0],
      int32: [-(2 ** 31), 2 ** 31 - 1, 0],
      uint32: [2 ** 32 - 1, 1, 0],
      int64: [-(2 ** 53), 2 ** 53, 7],
      uint64: [2 ** 53, 0, 1],
      bool: [1, 0, 1],
    };
    for (const [dtype, numbers] of Object.entries(samples) as [Numeric, number[]][]) {
      test(`${dtype} goes in and out, as a feed and as a variable`, async () => {
        const session = await engine.createSession(
          model({ inputs: [['x', dtype, [3]]], outputs: [['y', dtype, [3]]], nodes: [['y', 'Identity', 'x']] }),
        );
        const value = tensorOf(dtype, [3], numbers);
        assert.deepEqual(await fetchOne(session, { x: value }), value);
        const variable = await engine.store(value);
        assert.deepEqual(await fetchOne(session, { x: variable }), value);
        assert.deepEqual(await engine.read([variable]), [value]);
        await session.release();
      });
    }

    test('float16 is raw bits', async () => {
      const session = await engine.createSession(
        model({ inputs: [['x', 'float16', [2]]], outputs: [['y', 'float16', [2]]], nodes: [['y', 'Neg', 'x']] }),
      );
      const one: Tensor = { dtype: 'float16', dims: [2], data: Uint16Array.of(0x3c00, 0xc000) };
      assert.deepEqual((await fetchOne(session, { x: one })).data, Uint16Array.of(0xbc00, 0x4000));
    });

    test('symbolic shapes, scalars and empty tensors', async () => {
      const session = await engine.createSession(
        model({
          inputs: [['x', 'float32', ['n', 2]]],
          outputs: [
            ['y', 'float32', ['n', 2]],
            ['sum', 'float32', []],
          ],
          nodes: [
            ['y', 'Mul', 'x x'],
            ['sum', 'ReduceSum', 'x', { keepdims: int(0) }],
          ],
        }),
      );
      assert.deepEqual([session.inputs, session.outputs], [['x'], ['y', 'sum']]);
      for (const n of [1, 3, 0]) {
        const x = f32(
          Array.from({ length: 2 * n }, () => 3),
          [n, 2],
        );
        const { y, sum } = await session.run({ feeds: { x }, fetch: ['y', 'sum'] });
        assert.deepEqual(
          y,
          f32(
            Array.from({ length: 2 * n }, () => 9),
            [n, 2],
          ),
        );
        assert.deepEqual(sum, f32([6 * n], []));
      }
    });

    test("the caller's arrays stay as they are, whatever they are views of", async () => {
      const session = await engine.createSession(accumulate);
      const whole = Float32Array.of(9, 1, 2, 9);
      const shared = new Float32Array(new SharedArrayBuffer(8)).fill(5);
      const feeds = {
        w: { dtype: 'float32', dims: [2], data: whole.subarray(1, 3) },
        x: { dtype: 'float32', dims: [2], data: shared as Float32Array<never> },
      } as const;
      assert.deepEqual(numbersOf(await fetchOne(session, feeds)), [6, 7]);
      const variable = await engine.store(feeds.w);
      whole.fill(0);
      assert.deepEqual(await values(variable), [1, 2]);
      assert.equal(whole.length, 4);
      const pooled = Buffer.from('ab');
      const bytes = await engine.store({ dtype: 'uint8', dims: [2], data: pooled });
      assert.deepEqual([await values(bytes), pooled.toString()], [[97, 98], 'ab']);
    });

    test('an assigned output becomes the content of the variable, and can be fetched too', async () => {
      const session = await engine.createSession(accumulate);
      const [w, other] = (await engine.storeAll([f32([1, 2]), f32([0, 0])])) as [Variable, Variable];
      const x = f32([1, 1]);
      assert.deepEqual(await session.run({ feeds: { w, x }, fetch: [], assign: { y: w } }), {});
      const { y } = await session.run({ feeds: { w, x }, fetch: ['y', 'y'], assign: { y: w } });
      assert.deepEqual(y, f32([3, 4]));
      await session.run({ feeds: { w, x }, fetch: [], assign: { y: other } });
      await session.run({ feeds: { w, x }, fetch: [], assign: { y: w } });
      assert.deepEqual([y, await values(w), await values(other)], [f32([3, 4]), [4, 5], [4, 5]]);
    });

    test('in place: the variable that is read is overwritten', async () => {
      const session = await engine.createSession(accumulate, { inPlace: true });
      const w = await engine.store(f32([1, 2]));
      for (let i = 0; i < 3; i++) await session.run({ feeds: { w, x: f32([1, 10]) }, fetch: [], assign: { y: w } });
      assert.deepEqual(await values(w), [4, 32]);
    });

    test('a run that fails leaves the variables as they were, and the session usable', async () => {
      const session = await engine.createSession(
        model({
          inputs: [
            ['w', 'float32', [2]],
            ['shape', 'int64', [1]],
          ],
          outputs: [
            ['w2', 'float32', [2]],
            ['y', 'float32', ['n']],
          ],
          nodes: [
            ['w2', 'Add', 'w w'],
            ['y', 'Reshape', 'w2 shape'],
          ],
        }),
      );
      const w = await engine.store(f32([1, 2]));
      const request = (size: number) => ({ feeds: { w, shape: i64([size]) }, fetch: ['y'], assign: { w2: w } });
      await assert.rejects(session.run(request(3)), /internal: run of session test: .*[Rr]eshape/);
      assert.deepEqual(await values(w), [1, 2]);
      assert.deepEqual((await session.run(request(2))).y, f32([2, 4]));
    });

    test('read, write and free', async () => {
      const [a, b] = (await engine.storeAll([f32([1]), i64([2, 3])])) as [Variable, Variable];
      await engine.write([b, a], [i64([4, 5]), f32([6])]);
      assert.deepEqual(await engine.read([a, b, a]), [f32([6]), i64([4, 5]), f32([6])]);
      await assert.rejects(engine.write([a], [i64([4])]), /internal: variable \d+ is float32 \[1\], got int64 \[1\]/);
      await assert.rejects(engine.write([a], [f32([4, 5])]), /internal: variable \d+ is float32 \[1\]/);
      await engine.free([a]);
      await assert.rejects(engine.read([a]), /internal: variable \d+ is freed/);
      await assert.rejects(engine.free([a]), /internal: variable \d+ is freed/);
      assert.deepEqual(await engine.read([b]), [i64([4, 5])]);
    });

    test('a tensor can be given away; one that is part of a larger array is copied', async () => {
      const whole = f32([1, 2]);
      const given = await engine.adopt(whole);
      assert.deepEqual(await values(given), [1, 2]);
      assert.equal(whole.data.length, 0, 'the memory is gone');

      const large = Float32Array.of(9, 3, 4, 9);
      const part = await engine.adopt({ dtype: 'float32', dims: [2], data: large.subarray(1, 3) });
      assert.deepEqual(await values(part), [3, 4]);
      assert.deepEqual([...large], [9, 3, 4, 9]);
      await engine.free([given, part]);
    });

    test('calls take effect in their order, across two sessions that share a variable', async () => {
      const [add, double] = await Promise.all([
        engine.createSession(accumulate),
        engine.createSession(
          model({ inputs: [['w', 'float32', [2]]], outputs: [['y', 'float32', [2]]], nodes: [['y', 'Add', 'w w']] }),
        ),
      ]);
      const w = await engine.store(f32([1, 1]));
      const x = f32([1, 0]);
      const done: number[] = [];
      const reads: Promise<number[]>[] = [];
      const runs = Array.from({ length: 4 }, (_, i) => {
        const session = i % 2 === 0 ? add : double;
        const feeds = i % 2 === 0 ? { w, x } : { w };
        const run = session.run({ feeds, fetch: [], assign: { y: w } }).then(() => done.push(i));
        reads.push(values(w));
        return run;
      });
      await Promise.all(runs);
      assert.deepEqual(await Promise.all(reads), [
        [2, 1],
        [4, 2],
        [5, 2],
        [10, 4],
      ]);
      assert.deepEqual(done, [0, 1, 2, 3]);
    });

    test('the event loop stays free during a run', async () => {
      const n = 512;
      const session = await engine.createSession(matrixChain(n, 20));
      const x: Tensor = { dtype: 'float32', dims: [n, n], data: allocate('float32', n * n).fill(1 / n) };
      let running = true;
      let turns = 0;
      const run = session.run({ feeds: { x }, fetch: ['y'] }).finally(() => (running = false));
      while (running) {
        await new Promise((resolve) => setImmediate(resolve));
        turns++;
      }
      await run;
      // An engine that computed on this thread would get one or two turns in.
      assert.ok(turns > 20, `${turns} turns of the event loop during the run`);
    });

    test('mistakes in a run are all named', async () => {
      const session = await engine.createSession(accumulate, { name: 'adder' });
      const freed = await engine.store(f32([1, 1]));
      const live = await engine.store(f32([1, 1]));
      await engine.free([freed]);
      const message = await session
        .run({
          feeds: { w: i64([1, 2]), q: f32([1]) },
          fetch: ['z'],
          assign: { y: freed },
        })
        .then(
          () => 'nothing was wrong',
          (error: Error) => error.message,
        );
      for (const part of [
        /^internal: run of session adder: /,
        /input w is float32\[2\], got int64\[2\]/,
        /there is no input "q", only w, x/,
        /inputs without a feed: x/,
        /there is no output "z", only y/,
        /variable \d+ of y is freed/,
      ])
        assert.match(message, part);
      const run = (feeds: Parameters<Session['run']>[0]['feeds'], rest: object = {}) =>
        session.run({ feeds: { w: live, x: f32([1, 1]), ...feeds }, fetch: ['y'], ...rest });
      await assert.rejects(run({ x: f32([1, 2, 3]) }), /input x is float32\[2\], got float32\[3\]/);
      await assert.rejects(run({ x: f32([1, 2], [1, 2]) }), /input x is float32\[2\], got float32\[1,2\]/);
      const short: Tensor = { dtype: 'float32', dims: [2], data: Float32Array.of(1) };
      await assert.rejects(run({ x: short }), /input x: float32\[2\] has 1 elements, not 2/);
      await assert.rejects(engine.store(short), /internal: float32 tensor \[2\] needs 2 elements, got 1/);
      await assert.rejects(run({}, { fetch: [] }), /neither fetch nor assign names an output/);
      const wide = await engine.store(f32([1, 2, 3]));
      await assert.rejects(
        run({}, { assign: { y: wide } }),
        /output y is float32\[2\], assigned to a variable of float32\[3\]/,
      );
      const foreign: Variable = { ...live };
      await assert.rejects(run({ w: foreign }), /variable \d+ of w is freed, or belongs to another engine/);
      assert.deepEqual((await run({})).y, f32([2, 2]));
    });

    test('one variable cannot take two outputs', async () => {
      const session = await engine.createSession(
        model({
          inputs: [['x', 'float32', [1]]],
          outputs: [
            ['y', 'float32', [1]],
            ['z', 'float32', [1]],
          ],
          nodes: [
            ['y', 'Neg', 'x'],
            ['z', 'Add', 'x x'],
          ],
        }),
      );
      const v = await engine.store(f32([1]));
      const request = { feeds: { x: f32([1]) }, fetch: [], assign: { y: v, z: v } };
      await assert.rejects(session.run(request), /variable \d+ is assigned more than once, also by output z/);
    });

    test('release waits for the runs before it, and can be repeated', async () => {
      const session = await engine.createSession(accumulate);
      const run = session.run({ feeds: { w: f32([1, 1]), x: f32([1, 1]) }, fetch: ['y'] });
      await Promise.all([session.release(), session.release()]);
      await session.release();
      assert.deepEqual((await run).y, f32([2, 2]));
      await assert.rejects(
        session.run({ feeds: { w: f32([1, 1]), x: f32([1, 1]) }, fetch: ['y'] }),
        /internal: run of session test after its release/,
      );
    });

    test('models that cannot be loaded', async () => {
      const broken = model({
        inputs: [['x', 'float32', [1]]],
        outputs: [['y', 'float32', [1]]],
        nodes: [['y', 'NoSuchOp', 'x']],
      });
      await assert.rejects(engine.createSession(broken, { name: 'broken' }), {
        message: /^internal: (ONNX Runtime|TensorFlow\.js) cannot load broken: .*NoSuchOp/,
      });
      await assert.rejects(engine.createSession('/no/such/model.onnx'), { code: 'file-not-found' });
      const folder = await mkdtemp(join(tmpdir(), 'kdx-test-'));
      await writeFile(join(folder, 'text.onnx'), 'this is not a model');
      await assert.rejects(engine.createSession(join(folder, 'text.onnx')), { code: 'invalid-model' });
      await rm(folder, { recursive: true });
    });

    test('session options change how fast a run is, not what it gives', async () => {
      const square = matrixChain(64, 3);
      const x = f32(
        Array.from({ length: 64 * 64 }, (_, i) => ((i * 37) % 101) / 1000),
        [64, 64],
      );
      const expected = numbersOf(await fetchOne(await engine.createSession(square), { x }));
      const choices: readonly SessionOptions[] = [
        ...(['disabled', 'basic', 'extended', 'all'] as const).map((optimization) => ({ optimization })),
        { disabledOptimizers: ['SkipLayerNormFusion'] },
        ...[false, true].flatMap((on) => [{ memoryPattern: on }, { prepacking: on }, { spinning: on, threads: 2 }]),
        { threads: 1 },
      ];
      for (const options of choices) {
        const session = await engine.createSession(square, options);
        const found = numbersOf(await fetchOne(session, { x }));
        const worst = Math.max(...found.map((value, i) => Math.abs(value / expected[i]! - 1)));
        assert.ok(worst < 1e-5, `${JSON.stringify(options)}: ${worst}`);
        await session.release();
      }
    });

    test('a model file with external data, and the optimized graph as a file', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'kdx-test-'));
      const path = join(folder, 'model.onnx');
      const w = f32(Array.from({ length: 512 }, (_, i) => i));
      await writeModel(
        path,
        model({
          inputs: [['x', 'float32', [512]]],
          outputs: [['y', 'float32', [512]]],
          initializers: { w },
          nodes: [['y', 'Add', 'x w']],
        }),
        { externalData: 'always' },
      );
      const optimizedModelPath = join(folder, 'optimized.onnx');
      const session = await engine.createSession(path, { optimizedModelPath, optimization: 'basic' });
      assert.deepEqual(await fetchOne(session, { x: f32(new Array<number>(512).fill(0)) }), w);
      assert.ok(existsSync(optimizedModelPath));
      await session.release();
      await rm(folder, { recursive: true });
    });

    // ScatterND(reduction=add) of ONNX Runtime loses updates here (spec/engine.md, section 0.1), so kdx does not use it.
    test('ScatterElements adds repeated indices exactly with two threads', async () => {
      const [rows, width, count] = [4, 64, 2048];
      const session = await engine.createSession(
        model({
          inputs: [
            ['indices', 'int64', [count, width]],
            ['updates', 'float32', [count, width]],
          ],
          outputs: [['y', 'float32', [rows, width]]],
          initializers: { zeros: f32(new Array<number>(rows * width).fill(0), [rows, width]) },
          nodes: [['y', 'ScatterElements', 'zeros indices updates', { axis: int(0), reduction: string('add') }]],
        }),
        { threads: 2 },
      );
      const size = { length: count * width };
      const indices = i64(
        Array.from(size, (_, i) => Math.floor(i / width) % rows),
        [count, width],
      );
      const updates = f32(new Array<number>(size.length).fill(1), [count, width]);
      for (let i = 0; i < 10; i++)
        assert.deepEqual(new Set(numbersOf(await fetchOne(session, { indices, updates }))), new Set([count / rows]));
    });

    test(`training steps lower the loss, to ${spread === 0 ? 'the same bits' : `within ${spread}`} every time`, async () => {
      const { losses, weights } = await train(engine, 6);
      assert.ok((losses.at(-1) as number) < 0.9 * (losses[0] as number), `losses ${losses.join(', ')}`);
      const again = await train(engine, 6);
      const [first, second] = [
        [...losses, ...weights],
        [...again.losses, ...again.weights],
      ];
      assert.equal(second.length, first.length);
      first.forEach((value, i) => {
        const difference = Math.abs((second[i] as number) - value);
        assert.ok(difference <= spread, `value ${i}: ${value}, then ${second[i]}`);
      });
    });

    test('closing ends a long run and what waits behind it', async () => {
      const own = await open();
      const n = 1024;
      const session = await own.createSession(matrixChain(n, 10));
      const x: Tensor = { dtype: 'float32', dims: [n, n], data: allocate('float32', n * n).fill(1 / n) };
      const runs = [1, 2, 3].map(() => session.run({ feeds: { x }, fetch: ['y'] }));
      const outcomes = Promise.allSettled(runs);
      await Promise.all([own.close(), own.close()]);
      for (const outcome of await outcomes) {
        assert.equal(outcome.status, 'rejected');
        assert.equal((outcome.reason as { code: string }).code, 'engine-closed');
        assert.equal((outcome.reason as Error & { cause: Error }).cause.name, 'AbortError');
      }
      await session.release();
      await own.close();
      await assert.rejects(own.store(f32([1])), /internal: the engine is closed/);
    }, 60_000);

    const unknown = Object.keys(skips).filter((title) => !titles.has(title));
    assert.deepEqual(unknown, [], 'every skip is of a test');
  });
}

/** Losses of training steps from a fixed start, and what they made of the weights. */
export async function train(engine: Engine, steps: number): Promise<{ losses: number[]; weights: number[] }> {
  const wave = (dims: readonly [number, number], factor: number) =>
    f32(
      Array.from({ length: dims[0] * dims[1] }, (_, i) => Math.sin(factor * (i + 1))),
      dims,
    );
  const session = await engine.createSession(trainingStep, { threads: 2 });
  const variables = await engine.storeAll([
    wave([50, 48], 1.1),
    wave([48, 32], 0.7),
    f32(new Array<number>(48 * 32).fill(0), [48, 32]),
  ]);
  const [table, w, m] = variables as [Variable, Variable, Variable];
  const ids = i64(Array.from({ length: 64 }, (_, i) => (i * i) % 7));
  const target = wave([64, 32], 0.3);
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const feeds = { ids, target, table, w, m };
    const { loss } = await session.run({ feeds, fetch: ['loss'], assign: { table2: table, w2: w, m2: m } });
    losses.push(...numbersOf(loss as Tensor));
  }
  await session.release();
  const weights = (await engine.read(variables)).flatMap(numbersOf);
  await engine.free(variables);
  return { losses, weights };
}
