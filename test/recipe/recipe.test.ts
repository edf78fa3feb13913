/** Recipes: defaults, precedence, lists, and all errors at once. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { z } from 'zod';
import type { KdxError } from '../../src/errors/index.ts';
import {
  applyOverride,
  checkRecipe,
  merge,
  parseOverride,
  resolveRecipe,
  stageTrainSchema,
  trainSchema,
  type RecipeSources,
} from '../../src/recipe/index.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kdx-recipe-'));
});
after(() => rm(folder, { recursive: true }));

async function fileOf(name: string, content: unknown): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

/** What a finetuning has. */
const plain = z.strictObject({ train: trainSchema.prefault({}) });

/** A recipe with lists: courses by name, and in them dishes by method. */
const dish = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('boil'), minutes: z.number().positive().default(10) }),
  z.strictObject({ method: z.literal('fry'), fat: z.enum(['oil', 'butter']).default('oil') }),
]);
const meal = z.strictObject({
  courses: z.array(
    z.strictObject({ name: z.string(), dishes: z.array(dish), order: z.array(z.number().int()).default([]) }),
  ),
  guests: z.number().int().min(1).default(2),
  wine: z
    .union([z.enum(['red', 'white']), z.strictObject({ grape: z.string() })], { error: 'expected a wine' })
    .optional(),
});
const base = {
  courses: [
    { name: 'first', dishes: [{ method: 'boil' }] },
    { name: 'main', dishes: [{ method: 'boil', minutes: 5 }, { method: 'fry' }] },
  ],
};

async function problemsOf(schema: z.ZodType, sources: RecipeSources): Promise<string[]> {
  const error = await resolveRecipe(schema, sources).then(
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

describe('a recipe', () => {
  it('has every default filled in', async () => {
    assert.deepEqual(await resolveRecipe(plain, {}), {
      train: {
        epochs: 3,
        batch: 32,
        accumulate: 1,
        lr: 5e-5,
        schedule: 'linear',
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

  it('of a stage has nothing that it was not given, and not what belongs to the run', async () => {
    assert.deepEqual(stageTrainSchema.parse({}), {});
    assert.deepEqual(stageTrainSchema.parse({ lr: 1, schedule: 'constant' }), { lr: 1, schedule: 'constant' });
    for (const key of ['seed', 'maxLength', 'saveEvery', 'dropout'])
      assert.ok(!stageTrainSchema.safeParse({ [key]: 3 }).success, key);
  });

  it('takes --set over flags, flags over the file, the file over its base, absent flags over nothing', async () => {
    const file = await fileOf('precedence.json', {
      train: { epochs: 5, batch: 8, lr: 1e-3, dropout: { hidden: 0.2 } },
    });
    const { train } = await resolveRecipe(plain, {
      base: { train: { epochs: 9, warmup: 0.5 } },
      file,
      flags: { train: { batch: 16, lr: 2e-3, epochs: undefined, dropout: { attention: 0 } } },
      set: ['train.lr=3e-3'],
    });
    assert.equal(train.warmup, 0.5);
    assert.equal(train.epochs, 5);
    assert.equal(train.batch, 16);
    assert.equal(train.lr, 3e-3);
    assert.deepEqual(train.dropout, { hidden: 0.2, attention: 0 });
  });

  it('takes --set values with the type that is written', async () => {
    const set = ['train.epochs=2', 'train.betas=[0.8, 0.99]', 'train.evaluate=end', 'train.schedule="constant"'];
    const { train } = await resolveRecipe(plain, { set });
    assert.deepEqual([train.epochs, train.betas, train.evaluate, train.schedule], [2, [0.8, 0.99], 'end', 'constant']);
    const { courses } = await resolveRecipe(meal, { base, set: ['courses.main.order=0,3'] });
    assert.deepEqual(courses[1]!.order, [0, 3]);
  });

  it('leaves out what does not apply, whoever set it', async () => {
    const file = await fileOf('wine.json', { wine: 'red' });
    const recipe = await resolveRecipe(meal, { base, file, set: ['wine=white'], drop: ['wine'] });
    assert.ok(!('wine' in recipe));
  });
});

describe('elements of lists', () => {
  const set = async (...words: string[]) => (await resolveRecipe(meal, { base, set: words })).courses;
  const [first, main] = [
    { name: 'first', order: [], dishes: [{ method: 'boil', minutes: 10 }] },
    {
      name: 'main',
      order: [],
      dishes: [
        { method: 'boil', minutes: 5 },
        { method: 'fry', fat: 'oil' },
      ],
    },
  ];

  it('are found by name, by method and by number', async () => {
    const butter = { ...main, dishes: [main.dishes[0], { method: 'fry', fat: 'butter' }] };
    for (const word of ['courses.main.dishes.fry.fat', 'courses.1.dishes.1.fat', 'courses.main.dishes.1.fat'])
      assert.deepEqual(await set(`${word}=butter`), [first, butter], word);
  });

  it('can be replaced, each or all of them', async () => {
    const fried = { name: 'first', order: [], dishes: [{ method: 'fry', fat: 'oil' }] };
    assert.deepEqual(await set('courses.first.dishes.boil={"method":"fry"}'), [fried, main]);
    assert.deepEqual(await set('courses=[]'), []);
    const file = await fileOf('whole.json', { courses: [{ name: 'only', dishes: [] }] });
    assert.deepEqual((await resolveRecipe(meal, { base, file })).courses, [{ name: 'only', dishes: [], order: [] }]);
  });

  it('a name is meant before a number', () => {
    const list = { list: [{ name: '1' }, { name: '0' }] };
    const override = parseOverride('list.0.x=5');
    assert.ok(typeof override !== 'string');
    assert.deepEqual(applyOverride(list, override), { list: [{ name: '1' }, { name: '0', x: 5 }] });
  });

  it('are changed in part by a file that names them', async () => {
    const file = await fileOf('part.json', { courses: { main: { dishes: { boil: { minutes: 7 } }, order: [1] } } });
    const { courses } = await resolveRecipe(meal, { base, file });
    assert.deepEqual(courses, [
      first,
      { ...main, order: [1], dishes: [{ method: 'boil', minutes: 7 }, main.dishes[1]] },
    ]);
    assert.deepEqual(base.courses[1]!.dishes[0], { method: 'boil', minutes: 5 }, 'what it was laid over is as it was');
  });

  it('that are not there are said to be missing, with those that are', async () => {
    const file = await fileOf('missing.json', { courses: { dessert: {}, main: { dishes: { bake: { minutes: 1 } } } } });
    assert.deepEqual(
      await problemsOf(meal, {
        base,
        file,
        set: ['courses.desert.order=1', 'courses.main.dishes.2.fat=oil', 'courses.-1.order=1', 'courses.1e0.order=1'],
      }),
      [
        'courses: there is no dessert among first, main',
        'courses.main.dishes: there is no bake among boil, fry',
        '--set: courses.desert.order: there is no desert among first, main',
        '--set: courses.main.dishes.2.fat: there is no 2 among boil, fry',
        '--set: courses.-1.order: there is no -1 among first, main',
        '--set: courses.1e0.order: there is no 1e0 among first, main',
      ],
    );
  });

  it('of what is no list are keys', () => {
    assert.deepEqual(merge({ a: 1 }, { a: { 0: 2 } }), { a: { 0: 2 } });
  });
});

describe('all errors are reported together', () => {
  it('with what was expected and found', async () => {
    const set = ['lr=3', 'train.epocs=2', 'train.batch=0', 'no equals', 'train.lr=high', 'train.epochs=1.5', '=1'];
    assert.deepEqual((await problemsOf(plain, { set: [...set, 'train.schedule=cosine', 'train.warmup=2'] })).sort(), [
      "--set: '=1' is not of the form key=value",
      "--set: 'no equals' is not of the form key=value",
      'lr: unknown key, did you mean train.lr?',
      'train.batch: expected more than 0, found 0',
      'train.epochs: expected int, found 1.5',
      'train.epocs: unknown key, did you mean train.epochs?',
      'train.lr: expected number, found "high"',
      'train.schedule: expected "linear" or "constant", found "cosine"',
      'train.warmup: expected at most 1, found 2',
    ]);
  });

  const lines: Readonly<Record<string, readonly [set: string[], ...lines: string[]]>> = {
    'a key of an element': [['courses.main.odrer=1'], 'courses.1.odrer: unknown key, did you mean courses.1.order?'],
    'a key of an element of an element': [
      ['courses.main.dishes.boil.minute=1'],
      'courses.1.dishes.0.minute: unknown key, did you mean courses.1.dishes.0.minutes?',
    ],
    'a key that elements have, elsewhere': [
      ['minutes=1'],
      'minutes: unknown key, did you mean courses.*.dishes.*.minutes?',
    ],
    'a key that is elsewhere': [['courses.main.guests=1'], 'courses.1.guests: unknown key, did you mean guests?'],
    'a key like nothing': [['courses.main.qwertyuiop=1'], 'courses.1.qwertyuiop: unknown key'],
    'an unknown method': [
      ['courses.first.dishes.boil.method=boli'],
      'courses.0.dishes.0.method: expected one of boil, fry, found "boli", did you mean boil?',
    ],
    'no method': [
      ['courses.first.dishes=[{"minutes":1}]'],
      'courses.0.dishes.0.method: expected one of boil, fry, found nothing',
    ],
    'no object': [['courses.first.dishes=[3]'], 'courses.0.dishes.0: expected object, found 3'],
    'none of the alternatives': [['wine=green'], 'wine: expected a wine, found "green"'],
    'a missing key': [['courses=[{"name":"x"}]'], 'courses.0.dishes: missing'],
  };
  for (const [title, [set, ...expected]] of Object.entries(lines))
    it(title, async () => assert.deepEqual(await problemsOf(meal, { base, set }), expected));

  it('keys of an object prototype are unknown keys', async () => {
    const problems = await problemsOf(plain, { set: ['train.__proto__.lr=1', 'constructor=1'] });
    assert.equal(problems.length, 2);
    assert.ok(problems.every((line) => line.includes('unknown key')));
  });
});

describe('a recipe with problems', () => {
  it('is still one where keys are unknown, without them', async () => {
    const set = ['courses.main.dishes.boil.minute=1', 'courses.first.x=1', 'gests=3', 'guests=4', 'bad'];
    const { recipe, problems } = await checkRecipe(meal, { base, set });
    assert.equal(problems.length, 4);
    assert.deepEqual(recipe, { ...(await resolveRecipe(meal, { base })), guests: 4 });
  });

  it('is none where a value is wrong', async () => {
    const { recipe, problems } = await checkRecipe(meal, { base, set: ['guests=0', 'gests=3'] });
    assert.equal(recipe, undefined);
    assert.deepEqual(problems.toSorted(), [
      'gests: unknown key, did you mean guests?',
      'guests: expected at least 1, found 0',
    ]);
  });
});

it('short forms of --set are given the recipe so far', async () => {
  const seen: unknown[] = [];
  const { guests } = await resolveRecipe(meal, {
    base,
    set: ['guests=3', 'people=5'],
    expand: (override, recipe) => {
      seen.push(recipe['guests']);
      return override.path[0] === 'people' ? { ...override, path: ['guests'] } : override;
    },
  });
  assert.deepEqual([guests, seen], [5, [undefined, 3]]);
  assert.deepEqual(await problemsOf(meal, { base, set: ['x=1'], expand: () => 'x may mean anything' }), [
    '--set: x may mean anything',
  ]);
});

it('a recipe file that cannot be read says why', async () => {
  const file = await fileOf('broken.json', '{"train": ');
  await assert.rejects(resolveRecipe(plain, { file }), { code: 'invalid-json' });
  await assert.rejects(resolveRecipe(plain, { file: await fileOf('list.json', []) }), { code: 'invalid-recipe' });
  await assert.rejects(resolveRecipe(plain, { file: join(folder, 'none.json') }), { code: 'file-not-found' });
});
