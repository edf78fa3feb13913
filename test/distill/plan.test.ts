/** What a distillation says that it will do, and the recipe that it would do it by. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Plan } from '../../plugins/distill/src/preflight.ts';
import { presetNames } from '../../plugins/distill/src/recipe/presets.ts';
import { bertTensors, parseConfig } from '../../src/checkpoint/index.ts';
import { fileExists } from '../../src/files/index.ts';
import { elementCount, tensor } from '../../src/graph/index.ts';
import {
  assertRefused,
  goodData,
  goodInput,
  modelJson,
  runIn,
  snapshot,
  usePlace,
  writeModel,
  writeTask,
} from '../cli/bad-input.ts';
import { runKdx } from '../cli/program.ts';

const common = ['--out', '@out', '--device', 'cpu', '--max-length', '16'];
const two = ['--student', 'layers=2'];
const asMethod = (method: string, ...words: string[]) => [
  ...['distill', '--teacher', '@model', ...goodData, ...common, '--method', method],
  ...words,
];

describe('a plan', () => {
  const place = usePlace();
  const cacheDir = () => join(process.env['KDX_CACHE']!, 'teacher');

  /** Bytes of the numbers in the cache's files; a file begins with the length of its header. */
  async function cachedBytes(): Promise<number> {
    const names = (await fileExists(cacheDir())) ? await readdir(cacheDir()) : [];
    const sizes = names.map(async (name) => {
      const content = await readFile(join(cacheDir(), name));
      return content.length - 8 - Number(content.readBigUInt64LE(0));
    });
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  }

  async function planOf(folder: string, words: readonly string[]): Promise<Plan> {
    const { result, text } = await runIn(folder, [...words, '--dry-run']);
    assert.equal(text, '');
    return (result as { plan: Plan }).plan;
  }

  it('is all that --dry-run makes', async () => {
    const folder = await place.folder();
    await goodInput(folder);
    await writeFile(join(folder, 'text.txt'), 'the screen is superb\n\nthe app is useless\n');
    const found = await snapshot(folder);
    for (const method of presetNames.filter((name) => name !== 'distilbert')) {
      const plan = await planOf(folder, asMethod(method, ...two, '--corpus', '@text.txt', '--batch', '3'));
      assert.ok(plan.stages.length > 0, method);
      for (const { steps, memoryBytes } of plan.stages) assert.ok(steps > 0 && memoryBytes > 1e4, method);
    }
    assert.deepEqual(await snapshot(folder), found);
    assert.equal(await fileExists(cacheDir()), false);
  });

  it('says what will be done', async () => {
    const folder = await place.folder();
    await goodInput(folder);
    const plan = await planOf(folder, asMethod('pea-kd', ...two, '--batch', '3', '--epochs', '5', '--lr', '0.01'));
    assert.deepEqual(plan.teachers, [{ ref: join(folder, 'model'), layers: 2, hidden: 8, ownTokens: false }]);
    const { parameters, ...student } = plan.student;
    assert.deepEqual(student, { layers: 2, depth: 4, hidden: 8, from: 'layers 0, 1 of the teacher' });
    const unique = bertTensors(parseConfig(modelJson, 'config.json')).reduce(
      (n, { dims }) => n + elementCount(dims),
      0,
    );
    assert.equal(parameters, unique, 'a layer that runs twice is counted once');
    const stages = plan.stages.map(({ memoryBytes, ...rest }) => (assert.ok(memoryBytes > 3 * 4 * unique), rest));
    const common = { data: 'task', examples: 4, learningRate: 0.01, teacherInStep: false };
    assert.deepEqual(stages, [
      {
        ...common,
        name: 'ptp',
        losses: [{ method: 'label', weight: 1 }],
        epochs: 2,
        steps: 4,
        cached: ['logits'],
        // Four training and four development examples, two labels.
        cacheBytes: 4 * 8 * 2,
      },
      {
        ...common,
        name: 'distillation',
        losses: [
          { method: 'label', weight: 0.3 },
          { method: 'kd', weight: 0.7 },
          { method: 'patience', weight: 100 },
        ],
        epochs: 5,
        steps: 10,
        cached: stages[1]!.cached,
        cacheBytes: 4 * 4 * (2 + 8 * (stages[1]!.cached.length - 1)),
      },
    ]);
    assert.ok(
      stages[1]!.cached[0] === 'logits' && stages[1]!.cached.slice(1).every((tap) => /^first-token-\d$/.test(tap)),
    );
  });

  it('with the teacher in each step needs more memory', async () => {
    const folder = await place.folder();
    await goodInput(folder);
    const [alone, together] = [
      await planOf(folder, asMethod('kd', ...two)),
      await planOf(folder, asMethod('tinybert', ...two)),
    ];
    assert.deepEqual(
      [alone, together].map(({ stages }) => stages[0]!.teacherInStep),
      [false, true],
    );
    assert.deepEqual(together.stages[0]!.cached, []);
    assert.ok(together.stages[0]!.memoryBytes > alone.stages[0]!.memoryBytes);
  });

  it('foretells the bytes of the cache', async () => {
    const folder = await place.folder();
    await goodInput(folder);
    await writeModel(join(folder, 'second'), {}, (weights) => {
      weights.set('classifier.bias', tensor('float32', [2], Float32Array.of(1, 2)));
    });
    await writeTask(join(folder, 'data'), ['fine\t1', 'bad\t0', 'a clever app\t1']);
    const run = async (words: readonly string[]) => {
      await rm(cacheDir(), { recursive: true, force: true });
      const { stages } = await planOf(folder, words);
      assert.equal((await runIn(folder, words)).text, '');
      await rm(join(folder, 'out'), { recursive: true });
      return stages.map(({ cacheBytes }) => cacheBytes);
    };
    const short = [...two, '--epochs', '1'];
    const [pkd] = await run(asMethod('pkd', ...short));
    assert.equal(pkd, 4 * 3 * (2 + 8));
    assert.equal(await cachedBytes(), pkd);
    const [ensemble] = await run([...asMethod('kd', ...short), '--teacher', '@second']);
    assert.equal(ensemble, 2 * 4 * 3 * 2);
    assert.equal(await cachedBytes(), ensemble);
    const [ptp, distillation] = await run(asMethod('pea-kd-ptp', ...short, '--set', 'ptp.train.epochs=1'));
    // Both stages read the logits of the training examples, which are there once.
    assert.equal(await cachedBytes(), ptp! + distillation! - 4 * 3 * 2);
  });

  it('is shown to people', async () => {
    const folder = await place.folder();
    await goodInput(folder);
    const words = asMethod('pkd', ...two, '--dry-run').map((word) => word.replace(/^@/, `${folder}/`));
    const { code, stdout, stderr } = await runKdx(words);
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /^teacher: .*\/model, 2 layers, hidden 8\nstudent: 2 layers, hidden 8, .* from layers 0, 1 of the teacher\n/,
    );
    assert.match(
      stdout,
      /^stage distillation: 0\.3 label \+ 0\.7 kd \+ 100 patience, 4 examples, 3 epochs, 3 steps, asked once: logits, first-token-1 \(160 B\), up to .*B of memory$/m,
    );
    assert.match(stdout, /\nnothing speaks against it\n$/);
  });
});

describe('--print-recipe', () => {
  const place = usePlace();
  it('needs no models and no data, and comes back from a file', async () => {
    const folder = await place.folder();
    const words = ['distill', '--method', 'pea-kd', '--student', 'layers=3', '--print-recipe', '--epochs', '7'];
    const { result } = await runIn(folder, words);
    const { recipe } = result as { recipe: { student: object; stages: object[]; train: { epochs: number } } };
    assert.deepEqual([recipe.train.epochs, recipe.stages.length], [7, 2]);
    await writeFile(join(folder, 'recipe.json'), JSON.stringify(recipe));
    const again = await runIn(folder, ['distill', '--recipe', '@recipe.json', '--print-recipe']);
    assert.deepEqual(again.result, result);
    assert.deepEqual(await readdir(folder), ['recipe.json']);
  });

  it('prints the recipe alone, or with --json within an object', async () => {
    const words = ['distill', '--method', 'tinybert', '--print-recipe'];
    const [plain, json] = await Promise.all([runKdx(words), runKdx([...words, '--json'])]);
    assert.deepEqual({ recipe: JSON.parse(plain.stdout) as unknown }, JSON.parse(json.stdout));
    assert.equal(plain.stderr, '');
  });

  it('says what is wrong with it', async () => {
    const folder = await place.folder();
    const outcome = await runIn(folder, ['distill', '--print-recipe', '--set', 'temprature=1', '--set', 'train.lr=x']);
    const says = ['has 2 errors', 'train.lr: expected number, found "x"', 'temprature: unknown key'];
    assertRefused(outcome, { code: 'invalid-recipe', says }, folder);
  });
});
