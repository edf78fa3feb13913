/** Run folders: refusal, resumption, locks, metrics. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { KdxError } from '../../src/errors/index.ts';
import { createRunFolder, openMetricsLog, packageVersion, type RunStart } from '../../src/recipe/index.ts';

let folder: string;
let out: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kdx-run-'));
  out = join(folder, 'nested', 'run');
});
afterEach(() => rm(folder, { recursive: true }));

const start: RunStart = {
  command: 'distill',
  recipe: { alpha: 0.7, train: { lr: 5e-5, betas: [0.9, 0.999] } },
  inputs: { train: 'aa', dev: 'bb' },
  seed: 42,
  device: 'cpu (2 threads)',
  resume: false,
  arguments: ['distill', '--data', "it's", '--out', 'a b'],
};

async function codeOf(work: Promise<unknown>): Promise<KdxError> {
  return work.then(
    () => assert.fail('no error'),
    (error: KdxError) => error,
  );
}

test('the record holds what is needed to repeat the run', async () => {
  const run = await createRunFolder(out, start);
  const record = JSON.parse(await readFile(run.file('run.json'), 'utf8')) as typeof run.record;
  assert.deepEqual(record, run.record);
  assert.equal(run.resumed, false);
  assert.deepEqual(record.recipe, start.recipe);
  assert.deepEqual(record.inputs, start.inputs);
  assert.equal(record.versions.node, process.versions.node);
  assert.match(record.versions.kdx!, /^\d+\.\d+\.\d+/);
  assert.match(record.versions['onnxruntime-node']!, /^\d+\.\d+\.\d+/);
  assert.ok(!Number.isNaN(Date.parse(record.started)));
  await run.close();
  assert.deepEqual(await readdir(out), ['run.json']);
});

test('a folder with another run or other files is refused and left alone', async () => {
  await (await createRunFolder(out, start)).close();
  const error = await codeOf(createRunFolder(out, start));
  assert.equal(error.code, 'run-exists');
  assert.match(error.suggestions.join(), /--resume/);

  const foreign = join(folder, 'foreign');
  await mkdir(foreign);
  await writeFile(join(foreign, 'notes.txt'), 'mine');
  for (const resume of [false, true]) {
    const refusal = await codeOf(createRunFolder(foreign, { ...start, resume }));
    assert.equal(refusal.code, 'run-exists');
    assert.match(refusal.message, /notes\.txt/);
  }
  assert.deepEqual(await readdir(foreign), ['notes.txt']);
});

test('what a killed start leaves behind does not count as content', async () => {
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'run.json.1-ab.tmp'), '{');
  const run = await createRunFolder(out, { ...start, resume: true });
  assert.equal(run.resumed, false);
  await run.close();
});

test('--resume finds the same run, and lists what is different', async () => {
  await (await createRunFolder(out, start)).close();
  const same = await createRunFolder(out, { ...start, resume: true, arguments: ['other'] });
  assert.equal(same.resumed, true);
  assert.deepEqual(same.record.arguments, start.arguments);
  assert.deepEqual(same.warnings, []);
  await same.close();

  const changed: RunStart = {
    ...start,
    resume: true,
    recipe: { alpha: 0.5, train: { lr: 5e-5, betas: [0.9, 0.99] } },
    inputs: { train: 'aa', dev: 'cc' },
  };
  const error = await codeOf(createRunFolder(out, changed));
  assert.equal(error.code, 'run-mismatch');
  assert.match(error.message, /recipe\.alpha: 0\.7 before, 0\.5 now/);
  assert.match(error.message, /recipe\.train\.betas\.1: 0\.999 before, 0\.99 now/);
  assert.match(error.message, /inputs\.dev: "bb" before, "cc" now/);
  assert.doesNotMatch(error.message, /inputs\.train|lr/);
  assert.match(error.suggestions[0]!, /kdx distill --data 'it'\\''s' --out 'a b' --resume/);

  const elsewhere = await createRunFolder(out, { ...start, resume: true, device: 'cuda' });
  assert.match(elsewhere.warnings.join(), /device: "cpu \(2 threads\)" before, "cuda" now/);
  await elsewhere.close();
});

test('a run that another version of kdx began names that version beside its command line', async () => {
  await (await createRunFolder(out, start)).close();
  const file = join(out, 'run.json');
  const record = JSON.parse(await readFile(file, 'utf8')) as { versions: { kdx: string } };
  const now = record.versions.kdx;
  record.versions.kdx = '0.0.1';
  await writeFile(file, JSON.stringify(record));
  const changed = { ...start, resume: true, recipe: { ...start.recipe, precision: 'float32' } };
  const error = await codeOf(createRunFolder(out, changed));
  assert.match(error.message, /recipe\.precision: not set before, "float32" now/);
  assert.equal(error.suggestions[1], `kdx 0.0.1, which began it (this is kdx ${now})`);
});

test('a damaged record is told', async () => {
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'run.json'), '{"format":');
  assert.equal((await codeOf(createRunFolder(out, { ...start, resume: true }))).code, 'corrupt-run');
  assert.deepEqual(await readdir(out), ['run.json']);
});

test('one process at a time, and the lock of a dead one is taken over', async () => {
  const run = await createRunFolder(out, start);
  const error = await codeOf(createRunFolder(out, { ...start, resume: true }));
  assert.equal(error.code, 'run-locked');
  assert.match(error.message, new RegExp(`process ${process.pid} `));
  await run.close();

  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  const stale = [
    { pid: dead, host: hostname(), birth: '' },
    // The number lives again, but as another process.
    ...(process.platform === 'linux' ? [{ pid: process.pid, host: hostname(), birth: 'another boot/1' }] : []),
  ];
  for (const holder of stale) {
    await writeFile(join(out, 'run.lock'), JSON.stringify(holder));
    await (await createRunFolder(out, { ...start, resume: true })).close();
  }

  await writeFile(join(out, 'run.lock'), JSON.stringify({ pid: dead, host: 'another-host', birth: '' }));
  assert.equal((await codeOf(createRunFolder(out, { ...start, resume: true }))).code, 'run-locked');
});

test('a lock without content is respected while it may be being written', async () => {
  await (await createRunFolder(out, start)).close();
  const lock = join(out, 'run.lock');
  await writeFile(lock, '');
  assert.equal((await codeOf(createRunFolder(out, { ...start, resume: true }))).code, 'run-locked');
  const longAgo = new Date(Date.now() - 60_000);
  await utimes(lock, longAgo, longAgo);
  await (await createRunFolder(out, { ...start, resume: true })).close();
});

test('metrics are cut back to the resumed step, without duplicates or torn lines', async () => {
  const path = join(folder, 'metrics.jsonl');
  const log = await openMetricsLog(path, 0);
  for (const step of [1, 2, 3, 4]) await log.append({ step, loss: 1 / step });
  await appendFile(path, '{"step":5,"lo');

  const resumed = await openMetricsLog(path, 2);
  assert.deepEqual(
    resumed.kept.map((entry) => entry.step),
    [1, 2],
  );
  await resumed.append({ step: 3, loss: 0.5 });
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    [
      { step: 1, loss: 1 },
      { step: 2, loss: 0.5 },
      { step: 3, loss: 0.5 },
    ],
  );

  assert.deepEqual((await openMetricsLog(path, 0)).kept, []);
  assert.equal(await readFile(path, 'utf8'), '');
});

test('versions of packages are found whether they export package.json or not', () => {
  assert.match(packageVersion('@huggingface/hub'), /^\d+\.\d+/);
  assert.equal(packageVersion('no-such-package'), 'not installed');
});

test('a run that failed before it began leaves no trace; one that has begun stays', async () => {
  const failed = await createRunFolder(out, start);
  await failed.discard();
  await failed.close();
  assert.deepEqual(await readdir(folder), [], 'the folders made for it are gone');

  await mkdir(out, { recursive: true });
  const inside = await createRunFolder(out, start);
  await inside.discard();
  assert.deepEqual(await readdir(out), [], 'a folder that was there stays');

  const begun = await createRunFolder(out, start);
  await (await begun.metrics(0)).append({ step: 1, loss: 1 });
  await begun.discard();
  await begun.close();
  const resumed = await createRunFolder(out, { ...start, resume: true });
  await rm(resumed.file('metrics.jsonl'));
  await resumed.discard();
  await resumed.close();
  assert.deepEqual(await readdir(out), ['run.json'], 'what an earlier start has left stays');
});
