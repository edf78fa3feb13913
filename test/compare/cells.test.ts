/** Cells: their names, the examples of a fraction, and when a stored one is the one that is asked for. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import {
  cellDifferences,
  cellFile,
  cellName,
  prepareCell,
  rowsOf,
  runCell,
  type CellSetting,
  type CellSpec,
  type StoredCell,
} from '../../plugins/distill/src/compare/cells.ts';
import { checkDistillRecipe } from '../../plugins/distill/src/recipe/resolve.ts';
import { parseStudent } from '../../plugins/distill/src/recipe/student.ts';
import { loadCheckpoint } from '../../src/checkpoint/index.ts';
import { bertFlops } from '../../src/nn/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { tensorOf } from '../../src/graph/index.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { tinyData, useScene } from '../distill/tiny-run.ts';

let base: CellSetting;
const scene = useScene(async ({ path }) => {
  await writeTinyClassifier(path('teacher'));
  await writeTinyClassifier(path('other'), { seed: 3 });
  await writeFile(path('text.txt'), 'the screen is superb\n'.repeat(8));
  await writeFile(path('other.txt'), 'the hinge is sloppy\n'.repeat(8));
  const teachers = [path('teacher')];
  base = { out: path('out'), teachers, data: await tinyData(), keep: false, corpus: path('text.txt') };
});

async function specOf(changes: Partial<CellSpec> & { readonly set?: readonly string[] } = {}): Promise<CellSpec> {
  const { set = [], ...spec } = { method: 'pretrained-kd', seed: 1, fraction: 0.5, augmented: [], ...changes };
  const recipe = await checkDistillRecipe({
    method: spec.method,
    set,
    flags: {
      student: parseStudent('layers=1'),
      train: { epochs: 1, batch: 8, maxLength: 8, seed: spec.seed },
    },
  });
  return { ...spec, recipe };
}

describe('names', () => {
  it('tell cells apart', () => {
    const names = ['finetune', 'pea-kd', 'my_own-1.0'].flatMap((method) =>
      [0.001, 0.007, 0.01, 0.333333, 1].flatMap((fraction) =>
        [1, 42].map((seed) => cellName({ method, seed, fraction })),
      ),
    );
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.includes('pea-kd-0.7pct-seed42') && names.includes('finetune-100pct-seed1'));
    assert.ok(names.every((name) => /^[\w.-]+$/.test(name)));
    assert.equal(
      cellFile('out', { method: 'kd', seed: 3, fraction: 0.1 }),
      join('out', 'cells', 'kd-10pct-seed3.json'),
    );
  });
});

describe('a fraction', () => {
  it('is a part of the larger ones, the same for every method, and another for another seed', async () => {
    const ids = async (changes: Parameters<typeof specOf>[0]) =>
      (await prepareCell(await specOf(changes), base)).data!.train.map(({ id }) => id);
    const [quarter, half] = [await ids({ fraction: 0.25 }), await ids({ fraction: 0.5 })];
    assert.deepEqual([quarter.length, half.length, (await ids({ fraction: 1 })).length], [6, 12, 24]);
    assert.ok(quarter.every((id) => half.includes(id)));
    assert.deepEqual(await ids({ method: 'kd' }), half);
    assert.notDeepEqual(await ids({ seed: 2 }), half);
    assert.equal((await ids({ fraction: 0.0001 })).length, 1);
  });

  it('has the variants of its own examples alone', async () => {
    const path = scene.path('augmented.tsv');
    const rows = base.data.train.map(({ id, label }) => `variant of ${id}\t${label}\ttinybert\t${id}`);
    await writeFile(path, ['text\tlabel\torigin\tsource', ...rows, ''].join('\n'));
    const { train } = (await prepareCell(await specOf({ fraction: 0.25, augmented: [path] }), base)).data!;
    assert.equal(train.length, 12);
    assert.deepEqual(
      train.slice(6).map(({ text }) => text),
      train.slice(0, 6).map(({ id }) => `variant of ${id}`),
    );
  });
});

describe('a stored cell', () => {
  let stored: StoredCell;
  before(async () => {
    const spec = await specOf();
    const surroundings = { engine: scene.engine, progress: silentProgress, signal: new AbortController().signal };
    await runCell(spec, { ...base, keep: true }, await prepareCell(spec, base), surroundings);
    stored = JSON.parse(await readFile(cellFile(base.out, spec), 'utf8')) as StoredCell;
  });

  it('says what it cost and what the student is', async () => {
    const { training, student, trainExamples, metrics, devLogits } = stored;
    assert.deepEqual(
      training.stages.map(({ name }) => name),
      ['pretraining', 'distillation'],
    );
    assert.equal(
      training.steps,
      training.stages.reduce((sum, { steps }) => sum + steps, 0),
    );
    assert.ok(training.examples > trainExamples && trainExamples === 12);
    assert.ok(training.cpuSeconds! > 0);
    const { config } = await loadCheckpoint(join(base.out, 'runs', cellName(stored)));
    const sizes = { layers: 1, depth: 1, hidden: 16, intermediate: config.intermediateSize, labels: 2 };
    assert.deepEqual([student.layers, student.depth, student.flops], [1, 1, bertFlops(sizes, 128)]);
    const right = devLogits.filter(([no, yes], i) => Number(yes! > no!) === base.data.dev[i]!.label).length;
    assert.equal(metrics['accuracy'], right / 12);
  });

  const same: Readonly<Record<string, (cell: StoredCell) => StoredCell>> = {
    'as it is': (cell) => cell,
    // An option with its default, which did not exist at that time.
    'made before an option existed': (cell) => {
      const copy = structuredClone(cell) as unknown as { recipe: { train: Record<string, unknown> } };
      delete copy.recipe.train['clipNorm'];
      return copy as unknown as StoredCell;
    },
  };
  for (const [title, change] of Object.entries(same))
    it(`is taken: ${title}`, async () => {
      const spec = await specOf();
      assert.deepEqual(cellDifferences(change(stored), spec, await prepareCell(spec, base)), []);
    });

  const others: Readonly<Record<string, () => Promise<[CellSpec, CellSetting]>>> = {
    'recipe.train.lr: 0.00005 before, 0.001 now': async () => [await specOf({ set: ['train.lr=1e-3'] }), base],
    'recipe.stages.1.losses.0.temperature: 2 before, 4 now': async () => [
      await specOf({ set: ['kd.temperature=4'] }),
      base,
    ],
  };
  for (const [line, change] of Object.entries(others))
    it(`is not taken: ${line}`, async () => {
      const [spec, setting] = await change();
      assert.deepEqual(cellDifferences(stored, spec, await prepareCell(spec, setting)), [line]);
    });

  const inputs: Readonly<Record<string, () => Promise<[CellSpec, CellSetting]>>> = {
    'another teacher': async () => [await specOf(), { ...base, teachers: [scene.path('other')] }],
    'another corpus': async () => [await specOf(), { ...base, corpus: scene.path('other.txt') }],
    'other labels': async () => {
      const train = base.data.train.map((example) => ({ ...example, label: 1 - example.label }));
      return [await specOf(), { ...base, data: { ...base.data, train } }];
    },
    'another development set': async () => [
      await specOf(),
      { ...base, data: { ...base.data, dev: base.data.dev.slice(1) } },
    ],
  };
  for (const [title, change] of Object.entries(inputs))
    it(`is not taken: ${title}`, async () => {
      const [spec, setting] = await change();
      const lines = cellDifferences(stored, spec, await prepareCell(spec, setting));
      assert.deepEqual(lines, ['another teacher, student, data or corpus']);
    });
});

describe('a corpus that no stage reads', () => {
  it('is no part of a cell, so that a method that reads one can be added', async () => {
    const spec = await specOf({ method: 'kd' });
    const { corpus: _, ...without } = base;
    const surroundings = { engine: scene.engine, progress: silentProgress, signal: new AbortController().signal };
    await runCell(spec, without, await prepareCell(spec, without), surroundings);
    const stored = JSON.parse(await readFile(cellFile(base.out, spec), 'utf8')) as StoredCell;
    assert.deepEqual(cellDifferences(stored, spec, await prepareCell(spec, base)), []);
  });
});

describe('logits in a file', () => {
  it('have six digits, and nine where ranks depend on them', () => {
    const matrix = tensorOf('float32', [2, 1], [1 / 3, 123456.789]) as never;
    assert.deepEqual(rowsOf(matrix, 'classification'), [[0.333333], [123457]]);
    assert.deepEqual(
      rowsOf(matrix, 'regression').map(([value]) => Math.fround(value!)),
      [1 / 3, 123456.789].map(Math.fround),
    );
  });
});
