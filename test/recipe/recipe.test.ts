/** Recipes: defaults, precedence, and all errors at once. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import type { KdxError } from '../../src/errors/index.ts';
import {
  distillSchema,
  finetuneSchema,
  isStudentShape,
  leaves,
  parseStudent,
  resolveRecipe,
  type Json,
  type RecipeSources,
} from '../../src/recipe/index.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kdx-recipe-'));
});
after(() => rm(folder, { recursive: true }));

async function problemsOf(sources: RecipeSources): Promise<string[]> {
  const error = await resolveRecipe(distillSchema, sources).then(
    () => assert.fail('the recipe was accepted'),
    (error: KdxError) => error,
  );
  assert.equal(error.code, 'invalid-recipe');
  assert.equal(error.exitCode, 2);
  return error.message
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
}

test('every default is filled in', async () => {
  const recipe = await resolveRecipe(distillSchema, { flags: { student: parseStudent('layers=3') } });
  assert.deepEqual(recipe, {
    method: 'kd',
    student: { layers: 3, init: { from: 'teacher' } },
    temperature: 2,
    alpha: 0.7,
    reduction: 'batchmean',
    train: {
      epochs: 3,
      batch: 32,
      accumulate: 1,
      lr: 5e-5,
      warmup: 0.1,
      weightDecay: 0.01,
      clipNorm: 1,
      betas: [0.9, 0.999],
      eps: 1e-8,
      maxLength: 128,
      seed: 42,
      dropout: {},
      evaluate: 'epoch',
      saveEvery: 120,
    },
  });
});

test('--set wins over flags, flags over the file, absent flags over nothing', async () => {
  const file = join(folder, 'precedence.json');
  await writeFile(file, JSON.stringify({ train: { epochs: 5, batch: 8, lr: 1e-3, dropout: { hidden: 0.2 } } }));
  const { train } = await resolveRecipe(finetuneSchema, {
    file,
    flags: { train: { batch: 16, lr: 2e-3, epochs: undefined, dropout: { attention: 0 } } },
    set: ['train.lr=3e-3'],
  });
  assert.equal(train.epochs, 5);
  assert.equal(train.batch, 16);
  assert.equal(train.lr, 3e-3);
  assert.deepEqual(train.dropout, { hidden: 0.2, attention: 0 });
});

test('--set values take the type that is written', async () => {
  const set = [
    'student.layers=2',
    'student.init.layers=0,3',
    'train.betas=[0.8, 0.99]',
    'reduction=mean',
    'student.init.from="teacher"',
  ];
  const recipe = await resolveRecipe(distillSchema, { set });
  assert.deepEqual(recipe.student, { layers: 2, init: { from: 'teacher', layers: [0, 3] } });
  assert.deepEqual(recipe.train.betas, [0.8, 0.99]);
  assert.equal(recipe.reduction, 'mean');
});

test('a student of another shape starts from random weights unless told otherwise', async () => {
  const shaped = { student: parseStudent('layers=2,hidden=32,heads=4') };
  assert.equal((await resolveRecipe(distillSchema, { flags: shaped })).student?.init.from, 'random');
  const told = await resolveRecipe(distillSchema, { flags: shaped, set: ['student.init.from=teacher'] });
  assert.equal(told.student?.init.from, 'teacher');
});

test('all errors are reported together, with what was expected and found', async () => {
  const problems = await problemsOf({
    flags: { student: { layers: 2, heads: 5, hidden: 32, init: { layers: [1] } } },
    set: ['lr=3', 'train.epocs=2', 'train.batch=0', 'method=kdd', 'no equals', 'alpha=high', 'train.epochs=1.5', '=1'],
  });
  assert.deepEqual(problems.sort(), [
    "--set: '=1' is not of the form key=value",
    "--set: 'no equals' is not of the form key=value",
    'alpha: expected number, found "high"',
    'lr: unknown key, did you mean train.lr?',
    'method: expected "kd", found "kdd"',
    'student.heads: 5 heads do not divide a hidden size of 32',
    'student.init.layers: expected 2 numbers, one per layer of the student, found 1',
    'train.batch: expected more than 0, found 0',
    'train.epochs: expected int, found 1.5',
    'train.epocs: unknown key, did you mean train.epochs?',
  ]);
});

test('a missing key and keys that exclude each other are named', async () => {
  assert.deepEqual(await problemsOf({ set: ['student.hidden=8'] }), ['student.layers: missing']);
  const set = ['student.layers=2', 'student.init.from=pretrained'];
  assert.deepEqual(await problemsOf({ set }), ['student.init.model: needed with from: pretrained']);
});

test('keys of an object prototype are unknown keys', async () => {
  const set = ['student.layers=2', 'train.__proto__.lr=1', 'constructor=1'];
  const problems = await problemsOf({ set });
  assert.equal(problems.length, 2);
  assert.ok(problems.every((line) => line.includes('unknown key')));
});

test('a recipe file that cannot be read says why', async () => {
  const broken = join(folder, 'broken.json');
  await writeFile(broken, '{"train": ');
  await assert.rejects(resolveRecipe(finetuneSchema, { file: broken }), { code: 'invalid-json' });
  const list = join(folder, 'list.json');
  await writeFile(list, '[]');
  await assert.rejects(resolveRecipe(finetuneSchema, { file: list }), { code: 'invalid-recipe' });
  await assert.rejects(resolveRecipe(finetuneSchema, { file: join(folder, 'none.json') }), { code: 'file-not-found' });
});

test('a student is a shape or a folder', () => {
  assert.ok(isStudentShape('layers=3'));
  assert.ok(!isStudentShape('./students/a=b'));
  assert.ok(!isStudentShape('org/name'));
  assert.deepEqual(parseStudent('layers=3, hidden=312,heads=12,intermediate=1200'), {
    layers: 3,
    hidden: 312,
    heads: 12,
    intermediate: 1200,
  });
});

test('a wrong shape names each mistake', () => {
  const cases: readonly [shape: string, expected: RegExp][] = [
    ['hidden=312', /layers: missing/],
    ['layers=3,layers=4', /layers: given twice/],
    ['layers=three', /layers: expected number, found "three"/],
    ['layers=3,hiden=312', /hiden: unknown key, did you mean hidden\?/],
    ['layers=3,', /'' is not of the form size=number/],
  ];
  for (const [shape, expected] of cases) {
    assert.throws(
      () => parseStudent(shape),
      (error: KdxError) => error.code === 'invalid-recipe' && expected.test(error.message),
    );
  }
});

test('the README lists every key with its default', async () => {
  const readme = await readFile(new URL('../../src/recipe/README.md', import.meta.url), 'utf8');
  const rows = readme.split('\n').filter((line) => line.startsWith('| `'));
  const listed = new Map(
    rows.flatMap((row) => {
      const [, keys = '', value = ''] = row.split('|').map((cell) => cell.trim());
      return [...keys.matchAll(/`([^`]+)`/g)].map((match) => [match[1]!, value] as const);
    }),
  );
  const { properties } = z.toJSONSchema(distillSchema, { io: 'input' });
  assert.deepEqual([...listed.keys()].sort(), keysOf(properties).sort());

  const recipe = await resolveRecipe(distillSchema, { set: ['student.layers=3'] });
  const defaults = leaves(JSON.parse(JSON.stringify(recipe)) as Json);
  for (const [key, value] of listed) {
    const code = /^`(.*)`$/.exec(value);
    if (code) assert.deepEqual(JSON.parse(code[1]!), valueAt(defaults, key), key);
  }
});

function keysOf(properties: object = {}, prefix = ''): string[] {
  return Object.entries(properties as Record<string, { properties?: object }>).flatMap(([key, child]) =>
    child.properties ? keysOf(child.properties, `${prefix}${key}.`) : [prefix + key],
  );
}

/** A leaf, or the list whose items are leaves. */
function valueAt(values: ReadonlyMap<string, Json>, key: string): Json | undefined {
  const items = [...values].filter(([path]) => path.startsWith(`${key}.`)).map(([, value]) => value);
  return values.get(key) ?? (items.length > 0 ? items : undefined);
}
