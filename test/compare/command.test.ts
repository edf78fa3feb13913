/** kdx compare as a program: what it leaves, how it goes on, what it refuses, and several of it at once. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { compare } from '../../plugins/distill/src/compare/compare.ts';
import { fractionsOf, methodsOf } from '../../plugins/distill/src/compare/lists.ts';
import { checkDistillRecipe } from '../../plugins/distill/src/recipe/resolve.ts';
import { parseStudent } from '../../plugins/distill/src/recipe/student.ts';
import { loadTaskData } from '../../src/data/index.ts';
import { KdxError } from '../../src/errors/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import type { CompareReport } from '../../plugins/distill/src/compare/report.ts';
import type { StoredCell } from '../../plugins/distill/src/compare/cells.ts';
import { lockFile } from '../../src/recipe/index.ts';
import { snapshot } from '../cli/bad-input.ts';
import { compiledKdx } from '../cli/compiled.ts';
import { runKdx } from '../cli/program.ts';
import { runCommand } from '../cli/run-command.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { abandonLocks, crashPoints } from '../distill/crash-points.ts';
import { useScene, writeReviews } from '../distill/tiny-run.ts';

const scene = useScene(async ({ path }) => {
  await writeTinyClassifier(path('teacher'));
  await writeTinyClassifier(path('other'), { seed: 3 });
  await writeReviews(path('reviews'));
});

interface Given {
  readonly methods?: string;
  readonly seeds?: number;
  readonly fractions?: string;
  readonly teacher?: string;
  readonly data?: string;
  readonly train?: object;
  readonly resume?: boolean;
  readonly keep?: boolean;
  readonly against?: string;
}

const training = { epochs: 1, batch: 8, maxLength: 8 };

/** As the command does it, on the engine of this file. */
async function compared(out: string, given: Given): Promise<CompareReport> {
  const { methods = 'kd', seeds = 1, fractions = '100%', teacher = 'teacher', data = 'reviews', train } = given;
  const { resume = false, keep = false, against } = given;
  return compare({
    out: scene.path(out),
    resume,
    teachers: [scene.path(teacher)],
    methods: methodsOf(methods).map(({ name, file }) => ({
      name,
      recipe: (seed) =>
        checkDistillRecipe({
          ...(file === undefined ? { method: name } : { file }),
          flags: { student: parseStudent('layers=1'), train: { ...training, ...train, seed } },
        }),
    })),
    seeds: Array.from({ length: seeds }, (_, i) => 1 + i),
    fractions: fractionsOf(fractions),
    ...(against !== undefined && { against }),
    data: await loadTaskData({ task: 'sst2', dir: scene.path(data) }),
    augmented: [],
    keep,
    command: `kdx compare --methods ${methods} --seeds ${seeds}`,
    engine: scene.engine,
    progress: silentProgress,
    signal: new AbortController().signal,
  });
}

/** The same on the command line. */
const wordsOf = (out: string, ...more: string[]) => [
  ...['compare', '--teacher', scene.path('teacher'), '--student', 'layers=1', '--out', scene.path(out)],
  ...['--data', scene.path('reviews'), '--task', 'sst2', '--device', 'cpu', '--threads', '1'],
  ...['--epochs', '1', '--batch', '8', '--max-length', '8', ...more],
];

async function refused(out: string, given: Given): Promise<KdxError> {
  const error = await compared(out, given).then(
    () => assert.fail('nothing was thrown'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof KdxError, String(error));
  assert.equal(error.exitCode, 2);
  return error;
}

const report = (out: string) => runCommand(['compare', '--report', '--out', scene.path(out)]);

/** What a kill left of a file that was being written does not count. */
const cellNames = async (out: string) =>
  (await readdir(scene.path(out, 'cells'))).filter((name) => !name.endsWith('.tmp')).sort();

/** Cells without what differs from one training to the next. */
async function cellsOf(out: string): Promise<Record<string, unknown>> {
  const cells = (await cellNames(out)).map(async (name) => {
    const cell = JSON.parse(await readFile(scene.path(out, 'cells', name), 'utf8')) as StoredCell;
    const { seconds: _all, cpuSeconds: _work, stages, ...training } = cell.training;
    const ofStages = stages.map(({ seconds: _, ...stage }) => stage);
    return [name, { ...cell, started: '', training: { ...training, stages: ofStages } }] as const;
  });
  return Object.fromEntries(await Promise.all(cells));
}

async function timesOf(out: string): Promise<Record<string, number>> {
  const times = (await cellNames(out)).map(
    async (name) => [name, (await stat(scene.path(out, 'cells', name))).mtimeMs] as const,
  );
  return Object.fromEntries(await Promise.all(times));
}

const rowsOf = ({ fractions }: CompareReport) => fractions[0]!.rows.map(({ method }) => method);

/** The uninterrupted comparison that others are held against. */
const whole = (() => {
  let made: Promise<CompareReport> | undefined;
  return () => (made ??= compared('whole', { seeds: 2 }));
})();

describe('a comparison', () => {
  it('has finetuning among its methods, a cell for each seed, and the report as JSON, Markdown and page', async () => {
    const made = await whole();
    assert.deepEqual(rowsOf(made), ['finetune', 'kd']);
    assert.deepEqual([made.finishedCells, made.plannedCells], [4, 4]);
    const names = ['finetune', 'kd'].flatMap((method) => [1, 2].map((seed) => `${method}-100pct-seed${seed}.json`));
    assert.deepEqual(await cellNames('whole'), names);
    const files = ['cells', 'comparison.json', 'index.html', 'report.json', 'report.md', 'runs'];
    assert.deepEqual((await readdir(scene.path('whole'))).sort(), files);
    assert.deepEqual(await readdir(scene.path('whole', 'runs')), []);
    assert.deepEqual(JSON.parse(await readFile(scene.path('whole', 'report.json'), 'utf8')), made);
  });

  it('is not made again with --resume, and is one JSON object with --json', async () => {
    const made = await whole();
    await cp(scene.path('whole'), scene.path('again'), { recursive: true, preserveTimestamps: true });
    const times = await timesOf('again');
    const words = wordsOf('again', '--methods', 'kd', '--seeds', '2', '--resume', '--json');
    const { code, stdout, stderr } = await runKdx(words, {
      env: { KDX_CACHE: scene.path('cache') },
    });
    assert.equal(code, 0, stderr);
    const found = JSON.parse(stdout) as CompareReport;
    assert.deepEqual(found, JSON.parse(await readFile(scene.path('again', 'report.json'), 'utf8')));
    const command = ['kdx', ...words].slice(0, -2).join(' ');
    assert.deepEqual(found, { ...made, commands: [...made.commands, command] });
    assert.deepEqual(await timesOf('again'), times);
  });

  it('takes further methods, seeds and fractions, and keeps the others in its report', async () => {
    await whole();
    await cp(scene.path('whole'), scene.path('extended'), { recursive: true, preserveTimestamps: true });
    const times = await timesOf('extended');
    const more = await compared('extended', { methods: 'mixkd', fractions: '50%', resume: true });
    assert.deepEqual(rowsOf(more), ['finetune', 'kd', 'mixkd']);
    assert.deepEqual(
      more.fractions.map(({ fraction, trainExamples }) => [fraction, trainExamples]),
      [
        [1, 24],
        [0.5, 12],
      ],
    );
    assert.deepEqual([more.finishedCells, more.plannedCells], [6, 12]);
    const after = await timesOf('extended');
    assert.equal(Object.keys(after).length, 6);
    for (const [name, time] of Object.entries(times)) assert.equal(after[name], time, name);
    const seeds = await compared('extended', { seeds: 3, resume: true });
    assert.equal(seeds.finishedCells, 8);
    assert.equal(seeds.commands.length, 3);
  });

  it('is reported on from its committed files, without a teacher', async () => {
    const made = await whole();
    await mkdir(scene.path('committed'));
    for (const name of ['comparison.json', 'cells'])
      await cp(scene.path('whole', name), scene.path('committed', name), { recursive: true });
    const { result, text } = await report('committed');
    assert.equal(text, '');
    assert.deepEqual(result, made);
    for (const name of ['report.json', 'report.md', 'index.html'])
      assert.equal(
        await readFile(scene.path('committed', name), 'utf8'),
        await readFile(scene.path('whole', name), 'utf8'),
        name,
      );
  });

  it('is reported on with cells that its plan does not know, and without any', async () => {
    await whole();
    await mkdir(scene.path('copied', 'cells'), { recursive: true });
    const setting = JSON.parse(await readFile(scene.path('whole', 'comparison.json'), 'utf8')) as object;
    const plan = { methods: ['finetune'], seeds: [1], fractions: [1] };
    await writeFile(scene.path('copied', 'comparison.json'), JSON.stringify({ ...setting, plan }));
    const copied = async () => (await report('copied')).result as CompareReport;
    assert.deepEqual([(await copied()).finishedCells, (await copied()).plannedCells], [0, 1]);
    await cp(scene.path('whole', 'cells'), scene.path('copied', 'cells'), { recursive: true });
    assert.deepEqual([(await copied()).finishedCells, rowsOf(await copied())], [4, ['finetune', 'kd']]);
    const broken = scene.path('copied', 'cells', 'kd-100pct-seed1.json');
    await writeFile(broken, '<<<<<<< HEAD');
    const { failure, text } = await report('copied');
    assert.deepEqual([failure?.code, failure?.exitCode, text.includes(broken)], ['invalid-json', 2, true]);
  });

  it('compares with further methods by --against, also those of an earlier start, and keeps to it', async () => {
    await whole();
    for (const name of ['against', 'reported'])
      await cp(scene.path('whole'), scene.path(name), { recursive: true, preserveTimestamps: true });
    const more = await compared('against', { methods: 'mixkd', seeds: 2, against: 'mixkd,kd', resume: true });
    assert.deepEqual(more.baselines, ['finetune', 'kd', 'mixkd']);
    const again = await compared('against', { methods: 'pkd', against: 'kd', resume: true });
    const versus = again.fractions[0]!.rows.map(({ result }) => Object.values(result!.versus).map(Boolean));
    const [no, yes] = [false, true];
    assert.deepEqual(versus, [
      [no, no, no],
      [yes, no, no],
      [yes, yes, no],
      [yes, yes, yes],
    ]);
    const markdown = await readFile(scene.path('against', 'report.md'), 'utf8');
    assert.match(markdown, /\| method .* against finetune \| +against kd \| +against mixkd \|/);
    assert.match(await readFile(scene.path('against', 'index.html'), 'utf8'), /Difference to mixkd/);

    const words = ['compare', '--report', '--out', scene.path('reported')];
    await runCommand([...words, '--against', 'finetune']);
    const before = await readFile(scene.path('reported', 'comparison.json'), 'utf8');
    const { failure, text } = await runCommand([...words, '--against', 'mixkd']);
    assert.deepEqual([failure?.code, failure?.exitCode], ['invalid-usage', 2]);
    assert.match(text, /mixkd is not a method of this comparison[^]*one of finetune, kd/);
    assert.equal(await readFile(scene.path('reported', 'comparison.json'), 'utf8'), before);
    assert.equal((await refused('whole', { against: 'tinybert', resume: true })).code, 'invalid-usage');
  });

  it('keeps the students with --keep', async () => {
    await compared('kept', { methods: 'finetune', keep: true });
    assert.deepEqual(await readdir(scene.path('kept', 'runs')), ['finetune-100pct-seed1']);
    assert.ok((await readdir(scene.path('kept', 'runs', 'finetune-100pct-seed1'))).includes('model.safetensors'));
    await compared('kept', { methods: 'finetune', resume: true });
    assert.deepEqual(await readdir(scene.path('kept', 'runs')), ['finetune-100pct-seed1']);
  });
});

describe('what is refused', () => {
  const unchanged = async (work: () => Promise<void>) => {
    const before = await snapshot(scene.path('whole'));
    await work();
    assert.deepEqual(await snapshot(scene.path('whole')), before, 'nothing is written');
  };

  it('a finished cell by another recipe, however late it comes', async () => {
    await whole();
    const recipe = scene.path('my.json');
    await writeFile(recipe, JSON.stringify({ method: 'kd', train: { warmup: 0.5 } }));
    await unchanged(async () => {
      const { code, message } = await refused('whole', { methods: `mixkd,kd=${recipe}`, seeds: 2, resume: true });
      assert.equal(code, 'run-mismatch', message);
      assert.match(
        message,
        /^kd-100pct-seed1 in .* was made otherwise\n +recipe\.train\.warmup: 0\.1 before, 0\.5 now/,
      );
      assert.equal((await refused('whole', { train: { lr: 1e-3 }, resume: true })).code, 'run-mismatch');
    });
  });

  it('another teacher, other data, another length; and any without --resume', async () => {
    await whole();
    await writeReviews(scene.path('fewer'), 20);
    await unchanged(async () => {
      for (const change of [{ teacher: 'other' }, { data: 'fewer' }, { train: { maxLength: 7 } }])
        assert.equal((await refused('whole', { ...change, resume: true })).code, 'run-mismatch');
      const { code, suggestions } = await refused('whole', { seeds: 2 });
      assert.ok(code === 'run-exists' && suggestions.some((text) => text.includes('--resume')));
    });
  });

  it('methods that are impossible, all of them at once, before anything is trained', async () => {
    const recipe = scene.path('wrong.json');
    await writeFile(recipe, JSON.stringify({ method: 'kd', train: { warmup: -1 }, temperatur: 2 }));
    const methods = `kd,pretrained-kd,distilbert,mixkdd,mine=${recipe}`;
    const { code, message } = await refused('impossible', { methods });
    assert.equal(code, 'impossible-distillation');
    for (const part of [
      /^pretrained-kd: .*--corpus FILE/m,
      /^distilbert: /m,
      /^mixkdd: (.|\n)*did you mean mixkd\?/m,
      /^mine: (.|\n)*train\.warmup(.|\n)*temperatur/m,
    ])
      assert.match(message, part);
    assert.doesNotMatch(message, /^(finetune|kd): /m);
    await assert.rejects(readdir(scene.path('impossible')), { code: 'ENOENT' });
  });

  it('a folder that holds something else, which is left as it was', async () => {
    await mkdir(scene.path('foreign'));
    await writeFile(scene.path('foreign', 'notes.txt'), 'mine');
    assert.equal((await refused('foreign', {})).code, 'run-exists');
    assert.deepEqual(await readdir(scene.path('foreign')), ['notes.txt']);
    assert.equal((await refused('reviews/train.tsv', {})).code, 'not-a-folder');
    assert.equal((await report('none')).failure?.code, 'not-a-comparison');
    assert.equal((await runCommand(wordsOf('none').slice(0, 3))).failure?.code, 'invalid-usage');
  });
});

describe('several processes on one folder', () => {
  it('leave each other the cells that they are at', async () => {
    await whole();
    await mkdir(scene.path('shared', 'runs'), { recursive: true });
    const cell = scene.path('shared', 'runs', 'kd-100pct-seed1');
    await cp(scene.path('whole', 'comparison.json'), scene.path('shared', 'comparison.json'));
    const unlock = await lockFile(`${cell}.lock`, cell);
    const first = await compared('shared', { resume: true });
    assert.deepEqual([first.finishedCells, await cellNames('shared')], [1, ['finetune-100pct-seed1.json']]);
    await unlock();
    await compared('shared', { resume: true });
    const cells = await cellsOf('shared');
    assert.deepEqual(Object.keys(cells), ['finetune-100pct-seed1.json', 'kd-100pct-seed1.json']);
    assert.deepEqual(cells['kd-100pct-seed1.json'], (await cellsOf('whole'))['kd-100pct-seed1.json']);
  });

  it('may have other methods, and none is lost', async () => {
    await whole();
    await cp(scene.path('whole', 'comparison.json'), scene.path('parallel', 'comparison.json'));
    await Promise.all([
      compared('parallel', { resume: true }),
      compared('parallel', { methods: 'mixkd', resume: true }),
    ]);
    const last = await compared('parallel', { methods: 'kd,mixkd', resume: true });
    assert.deepEqual([last.finishedCells, rowsOf(last)], [3, ['finetune', 'kd', 'mixkd']]);
    const [cells, expected] = [await cellsOf('parallel'), await cellsOf('whole')];
    for (const name of ['finetune-100pct-seed1.json', 'kd-100pct-seed1.json'])
      assert.deepEqual(cells[name], expected[name]);
    assert.deepEqual(await readdir(scene.path('parallel', 'runs')), []);
  });
});

describe('interrupted and gone on with', () => {
  it('SIGKILL, then Ctrl-C: finished cells are not made again, the others are the same', async () => {
    const expected = (await whole(), await cellsOf('whole'));
    const ended = async (signal: NodeJS.Signals, after: string) => {
      const words = wordsOf('killed', '--methods', 'kd', '--seeds', '2', '--resume');
      const child = spawn(process.execPath, [compiledKdx(), ...words], {
        env: { ...process.env, KDX_CACHE: scene.path('cache') },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let text = '';
      child.stderr.on('data', (chunk: Buffer) => {
        if (!text.includes(after) && (text += chunk.toString()).includes(after)) child.kill(signal);
      });
      const [code, by] = (await once(child, 'exit')) as [number | null, string | null];
      assert.ok(text.includes(after), text);
      return by ?? code;
    };
    assert.equal(await ended('SIGKILL', 'cell 2 of 4'), 'SIGKILL');
    const first = await timesOf('killed');
    assert.deepEqual(Object.keys(first), ['finetune-100pct-seed1.json']);
    assert.equal(await ended('SIGINT', 'cell 3 of 4'), 130);
    const second = await timesOf('killed');
    assert.equal(Object.keys(second).length, 2);
    await compared('killed', { seeds: 2, resume: true });
    const third = await timesOf('killed');
    for (const [name, time] of Object.entries({ ...second, ...first })) assert.equal(third[name], time, name);
    assert.deepEqual(await cellsOf('killed'), expected);
    assert.deepEqual(await readdir(scene.path('killed', 'runs')), []);
  });

  it('wherever a file is changed', async () => {
    const given = { methods: 'finetune', resume: true };
    await mkdir(scene.path('seams'));
    const copies = scene.path('seams-copies');
    const points = await crashPoints(scene.path('seams'), copies, () => compared('seams', given));
    const chosen = points.filter((point) =>
      /(comparison|pct-seed1(\.json|\.lock)?|report|result)(\.json)?$/.test(point),
    );
    assert.ok(chosen.length > 6, points.join('\n'));
    const [cells, names] = [await cellsOf('seams'), await readdir(scene.path('seams'))];
    for (const point of chosen) {
      await abandonLocks(join(copies, point));
      await compared(`seams-copies/${point}`, given);
      assert.deepEqual(await cellsOf(`seams-copies/${point}`), cells, point);
      const found = (await readdir(join(copies, point))).filter((name) => !name.endsWith('.tmp'));
      assert.deepEqual(found.sort(), names.sort(), point);
      assert.deepEqual(await readdir(join(copies, point, 'runs')), [], point);
    }
  });
});
