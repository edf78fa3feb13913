/** Recipes of distillation: the named ones, what may be changed in them and how, and all that is wrong at once. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { methods } from '../../plugins/distill/src/methods/index.ts';
import { presetNames, presets } from '../../plugins/distill/src/recipe/presets.ts';
import { checkDistillRecipe, type DistillSources } from '../../plugins/distill/src/recipe/resolve.ts';
import type { DistillRecipe } from '../../plugins/distill/src/recipe/schema.ts';
import { isStudentShape, parseStudent } from '../../plugins/distill/src/recipe/student.ts';
import type { KdxError } from '../../src/errors/index.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kdx-distill-recipe-'));
});
after(() => rm(folder, { recursive: true }));

let files = 0;
async function fileOf(content: unknown): Promise<string> {
  const path = join(folder, `recipe-${files++}.json`);
  await writeFile(path, JSON.stringify(content));
  return path;
}

async function recipeOf(sources: DistillSources): Promise<DistillRecipe> {
  const { recipe, problems } = await checkDistillRecipe(sources);
  assert.deepEqual(problems, []);
  return recipe!;
}

const problemsOf = async (sources: DistillSources) => (await checkDistillRecipe(sources)).problems;

/** What a path leads to; elements of lists by name or method. */
function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, key) => {
    if (!Array.isArray(inner)) return (inner as Record<string, unknown>)[key];
    return (inner as { name?: string; method?: string }[]).find(({ name, method }) => (name ?? method) === key);
  }, value);
}

describe('named recipes', () => {
  for (const name of presetNames) {
    const flags = { student: { layers: 3 } };

    it(`${name} is whole, and its methods are known`, async () => {
      const recipe = await recipeOf({ method: name, flags });
      assert.equal(recipe.method, name);
      assert.equal(recipe.student!.layers, 3);
      for (const { losses } of recipe.stages)
        for (const { method } of losses) assert.ok(Object.hasOwn(methods, method), method);
      assert.ok(presets[name].summary && presets[name].source);
    });

    it(`${name} comes back from what is printed of it`, async () => {
      const recipe = await recipeOf({ method: name, flags, set: ['train.lr=1e-4'] });
      assert.deepEqual(await recipeOf({ file: await fileOf(recipe) }), recipe);
    });
  }

  it('are kd where nothing is said', async () => {
    assert.deepEqual(await recipeOf({}), await recipeOf({ method: 'kd' }));
    const { stages } = await recipeOf({});
    assert.deepEqual(stages, [
      {
        name: 'distillation',
        data: 'task',
        losses: [
          { method: 'label', weight: 0.3 },
          { method: 'kd', weight: 0.7, temperature: 2, reduction: 'batchmean' },
        ],
        keep: 'best',
        train: {},
      },
    ]);
  });
});

describe('short forms of --set', () => {
  const cases: readonly (readonly [method: string, set: string, path: string, value: unknown])[] = [
    ['kd', 'kd.temperature=4', 'stages.distillation.losses.kd.temperature', 4],
    ['kd', 'kd.weight=0.5', 'stages.distillation.losses.kd.weight', 0.5],
    ['kd', 'temperature=4', 'stages.distillation.losses.kd.temperature', 4],
    ['kd', 'distillation.keep=last', 'stages.distillation.keep', 'last'],
    ['kd', 'distillation.train.lr=1e-3', 'stages.distillation.train.lr', 1e-3],
    ['kd', 'distillation.kd.temperature=4', 'stages.distillation.losses.kd.temperature', 4],
    ['kd', 'stages.0.losses.1.temperature=4', 'stages.distillation.losses.kd.temperature', 4],
    ['kd', 'train.lr=1e-3', 'train.lr', 1e-3],
    ['pea-kd', 'map=last', 'stages.distillation.losses.patience.map', 'last'],
    ['pea-kd', 'ptp.ptp.thresholds=published', 'stages.ptp.ptp.thresholds', 'published'],
    ['pea-kd', 'student.sharing=sps1', 'student.sharing', 'sps1'],
    ['tinybert', 'intermediate.transformer.hidden=0', 'stages.intermediate.losses.transformer.hidden', 0],
    ['tinybert', 'attention=0', 'stages.intermediate.losses.transformer.attention', 0],
    // The stage has the name of its loss.
    ['tinybert', 'prediction.temperature=4', 'stages.prediction.losses.prediction.temperature', 4],
    ['tinybert', 'prediction.keep=last', 'stages.prediction.keep', 'last'],
    ['tinybert', 'prediction.prediction.weight=2', 'stages.prediction.losses.prediction.weight', 2],
    ['distilbert', 'masking.probability=0.2', 'stages.pretraining.losses.distilbert.masking.probability', 0.2],
  ];
  for (const [method, set, path, value] of cases)
    it(`${method}: ${set}`, async () => {
      const flags = { student: { layers: 2 } };
      const [before, now] = [await recipeOf({ method, flags }), await recipeOf({ method, flags, set: [set] })];
      assert.notDeepEqual(at(before, path), value);
      assert.deepEqual(at(now, path), value);
    });

  it('that may mean several things are refused, with their long forms', async () => {
    const flags = { student: { layers: 2 } };
    assert.deepEqual(await problemsOf({ method: 'pea-kd', flags, set: ['label.weight=0.5'] }), [
      '--set: label.weight may mean stages.ptp.losses.label.weight or stages.distillation.losses.label.weight: give one of these',
    ]);
    const set = ['distillation.losses=[{"method":"kd"},{"method":"prediction"}]', 'temperature=3'];
    assert.deepEqual(await problemsOf({ method: 'kd', set }), [
      '--set: temperature may mean stages.distillation.losses.kd.temperature or stages.distillation.losses.prediction.temperature: give one of these',
    ]);
  });

  it('that mean nothing in this recipe are unknown keys', async () => {
    assert.deepEqual(await problemsOf({ method: 'finetune', set: ['temperature=3', 'kd.temperature=3'] }), [
      '--set: kd.temperature: this recipe has no loss kd',
      'temperature: unknown key, did you mean stages.*.losses.*.temperature?',
    ]);
  });

  it('do not trip over a recipe that is no recipe', async () => {
    const file = await fileOf({ stages: [3, { name: 'x', losses: 'none' }, { losses: [null] }] });
    const problems = await problemsOf({ file, set: ['kd.temperature=3', 'x.keep=last'] });
    assert.ok(problems.includes('stages.0: expected object, found 3'), problems.join('\n'));
  });
});

describe('a recipe file', () => {
  it('changes a part of a named recipe, by the names of stages and losses', async () => {
    const change = {
      method: 'tinybert',
      student: { layers: 2 },
      stages: {
        intermediate: { losses: { transformer: { attention: 0 } }, train: { epochs: 9 } },
        prediction: { losses: { prediction: { weight: 2 } } },
      },
    };
    const recipe = await recipeOf({ file: await fileOf(change) });
    const set = ['attention=0', 'intermediate.train.epochs=9', 'stages.prediction.losses.prediction.weight=2'];
    assert.deepEqual(recipe, await recipeOf({ method: 'tinybert', flags: { student: { layers: 2 } }, set }));
    assert.equal(at(recipe, 'stages.intermediate.train.warmup'), 0, 'what it does not name stays');
  });

  it('changes kd where it names no recipe, and another one where --method does', async () => {
    const file = await fileOf({ train: { epochs: 7 } });
    for (const method of [undefined, 'pkd'] as const) {
      const recipe = await recipeOf({ method, file });
      assert.deepEqual([recipe.method, recipe.train.epochs], [method ?? 'kd', 7]);
    }
    const other = await fileOf({ method: 'pkd', train: { epochs: 7 } });
    assert.equal((await recipeOf({ method: 'mixkd', file: other })).method, 'mixkd');
  });

  it('that names what is not there is refused', async () => {
    const file = await fileOf({ stages: { warmup: {}, distillation: { losses: { patience: { map: 'last' } } } } });
    assert.deepEqual(await problemsOf({ file }), [
      'stages: there is no warmup among distillation',
      'stages.distillation.losses: there is no patience among label, kd',
    ]);
  });

  const own = { stages: [{ name: 'only', losses: [{ method: 'kd' }, { method: 'cosine', weight: 0.1 }] }] };

  it('may have stages of its own', async () => {
    const recipe = await recipeOf({ file: await fileOf(own) });
    assert.equal(recipe.method, 'custom');
    assert.deepEqual(
      recipe.stages.map(({ name, losses }) => [name, losses.map(({ method, weight }) => [method, weight])]),
      [['only', [['kd', 1], ['cosine', 0.1]]]], // prettier-ignore
    );
    assert.equal((await recipeOf({ file: await fileOf({ ...own, method: 'mine' }) })).method, 'mine');
    assert.equal(
      at(await recipeOf({ file: await fileOf(own), set: ['temperature=7'] }), 'stages.only.losses.kd.temperature'),
      7,
    );
  });

  it('with stages of its own is not called otherwise by --method', async () => {
    const file = await fileOf({ ...own, method: 'mine' });
    const [problem, ...more] = await problemsOf({ file, method: 'kd' });
    assert.deepEqual(more, []);
    assert.match(problem!, /^method: .*recipe-\d+\.json has stages of its own, made from mine: leave out --method$/);
    assert.deepEqual(await problemsOf({ file, method: 'mine' }), []);
  });
});

describe('unknown names', () => {
  const unknown = 'method: no recipe is called';
  const cases: readonly (readonly [DistillSources, string])[] = [
    [{ method: 'tinybret' }, `${unknown} "tinybret", did you mean tinybert?`],
    [{ method: 'PEA-KD' }, `${unknown} "PEA-KD", did you mean pea-kd?`],
    [{ method: 'toString' }, `${unknown} "toString", there are ${presetNames.join(', ')}`],
    [{ method: 'attention-transfer' }, `${unknown} "attention-transfer", there are ${presetNames.join(', ')}`],
  ];
  for (const [sources, line] of cases)
    it(sources.method, async () => {
      const { recipe, problems } = await checkDistillRecipe(sources);
      assert.deepEqual([recipe, problems], [undefined, [line]]);
    });

  it('in a file', async () => {
    assert.deepEqual(await problemsOf({ file: await fileOf({ method: 'pkdd' }) }), [
      `${unknown} "pkdd", did you mean pkd?`,
    ]);
  });

  it('of a method', async () => {
    const file = await fileOf({ stages: [{ name: 'a', losses: [{ method: 'mixdk' }, { method: 'hints' }] }] });
    const known = Object.keys(methods).join(', ');
    assert.deepEqual(await problemsOf({ file }), [
      `stages.0.losses.0.method: expected one of ${known}, found "mixdk", did you mean mixkd?`,
      `stages.0.losses.1.method: expected one of ${known}, found "hints"`,
    ]);
  });
});

describe('all that is wrong is said at once', () => {
  it('in stages', async () => {
    const file = await fileOf({
      stages: [
        { name: 'a', losses: [{ method: 'kd' }, { method: 'label' }, { method: 'kd' }], patience: 3 },
        {
          name: 'b',
          losses: [
            { method: 'kd', weight: 0 },
            { method: 'label', weight: 0 },
          ],
        },
        { name: 'a', data: 'corpus', ptp: {}, losses: [{ method: 'mlm' }] },
      ],
      train: { epochs: 2 },
      epochs: 4,
    });
    assert.deepEqual([...(await problemsOf({ file }))].sort(), [
      'epochs: unknown key, did you mean train.epochs?',
      'stages.0.losses.2: a second loss kd in stage a',
      'stages.0.patience: unknown key',
      'stages.1.losses: every weight is 0',
      'stages.2.keep: expected last for a corpus',
      'stages.2.ptp: a corpus has no labels',
      'stages.2.ptp: the last stage has to train for the labels of the task',
      'stages.2: a second stage a',
    ]);
  });

  it('in values', async () => {
    const file = await fileOf({
      method: 'pea-kd',
      student: { layers: 0, sharing: 'sps3', heads: 5, hidden: 32 },
      stages: {
        ptp: { ptp: { thresholds: { correct: 2, wrong: 0 } }, name: 'PTP' },
        distillation: {
          losses: { kd: { temperature: 0 }, patience: { map: 'middle', weight: -1 } },
          train: { lr: 0, seed: 1 },
        },
      },
    });
    assert.deepEqual([...(await problemsOf({ file }))].sort(), [
      'stages.0.name: expected lower-case letters, digits and hyphens',
      'stages.0.ptp.thresholds.correct: expected at most 1, found 2',
      'stages.1.losses.1.temperature: expected more than 0, found 0',
      'stages.1.losses.2.map: expected skip, last or pairs [[student, teacher], ...] of layers counted from 1, found "middle"',
      'stages.1.losses.2.weight: expected at least 0, found -1',
      'stages.1.train.lr: expected more than 0, found 0',
      'stages.1.train.seed: unknown key, did you mean train.seed?',
      'student.layers: expected more than 0, found 0',
      'student.sharing: expected sps1, sps2 or {pattern: stack|interleave|mirror, repeat: [layers], shuffle: qk|none}, found "sps3"',
    ]);
  });

  it('in a student', async () => {
    const flags = {
      student: { layers: 2, heads: 5, hidden: 32, init: { layers: [1] }, sharing: { repeat: [1, 2, 1] } },
    };
    assert.deepEqual([...(await problemsOf({ flags }))].sort(), [
      'student.heads: 5 heads do not divide a hidden size of 32',
      'student.init.layers: expected 2 numbers, one per layer of the student, found 1',
      'student.sharing: repeat: expected each layer once, found 1 more than once',
      'student.sharing: repeat: expected layers 0 to 1 of 2, found 2',
    ]);
    assert.deepEqual(await problemsOf({ set: ['student.hidden=8'] }), ['student.layers: missing']);
    assert.deepEqual(await problemsOf({ set: ['student.layers=2', 'student.init.from=pretrained'] }), [
      'student.init.model: needed with from: pretrained',
    ]);
  });

  it('where stages are missing', async () => {
    assert.deepEqual(await problemsOf({ file: await fileOf({ stages: [] }) }), [
      'stages: expected a list of at least 1, found []',
    ]);
  });
});

describe('a student', () => {
  it('of another shape starts from random weights unless told otherwise', async () => {
    const flags = { student: parseStudent('layers=2,hidden=32,heads=4') };
    assert.equal((await recipeOf({ flags })).student?.init.from, 'random');
    const told = await recipeOf({ flags, set: ['student.init.from=teacher'] });
    assert.equal(told.student?.init.from, 'teacher');
    assert.equal((await recipeOf({ flags: { student: parseStudent('layers=2') } })).student?.init.from, 'teacher');
  });

  it('that is a checkpoint has none of what named recipes and files say of its shape', async () => {
    for (const method of presetNames)
      assert.ok(!('student' in (await recipeOf({ method, studentGiven: true }))), method);
    const file = await fileOf({ student: { layers: 2, nonsense: 1 }, train: { epochs: 1 } });
    const recipe = await recipeOf({ file, studentGiven: true });
    assert.deepEqual(['student' in recipe, recipe.train.epochs], [false, 1]);
  });

  it('that is a checkpoint is given no shape on the command line', async () => {
    const set = ['student.layers=1', 'train.epochs=1', 'student={"layers":2}', 'x=1'];
    const { recipe, problems } = await checkDistillRecipe({ method: 'pea-kd', studentGiven: true, set });
    assert.equal(recipe!.train.epochs, 1);
    assert.deepEqual(problems, [
      '--set student.layers=1: the student is a checkpoint, which has a shape already',
      '--set student={"layers":2}: the student is a checkpoint, which has a shape already',
      'x: unknown key',
    ]);
  });

  it('is a shape or a folder', () => {
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

  const wrong: readonly [shape: string, expected: RegExp][] = [
    ['hidden=312', /layers: missing/],
    ['layers=3,layers=4', /layers: given twice/],
    ['layers=three', /layers: expected number, found "three"/],
    ['layers=3,hiden=312', /hiden: unknown key, did you mean hidden\?/],
    ['layers=3,', /'' is not of the form size=number/],
  ];
  for (const [shape, expected] of wrong)
    it(`cannot be ${shape}`, () =>
      assert.throws(
        () => parseStudent(shape),
        (error: KdxError) => error.code === 'invalid-recipe' && expected.test(error.message),
      ));
});
