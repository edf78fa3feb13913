/** A distillation killed with SIGKILL at random moments, and resumed until it is done, gives the same bytes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compiledKdx } from '../cli/compiled.ts';
import { seeded } from '../support/seeded.ts';
import { reviewsFolder, tokenizerFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const KILLS = 4;

describe('kill -9 and --resume', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kdx-resume-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const start = (words: string[]) =>
    spawn(process.execPath, [compiledKdx(), ...words], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, KDX_CACHE: join(folder, 'cache') },
    });

  async function finish(words: string[]): Promise<string> {
    const child = start(words);
    let text = '';
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 0, text);
    return text;
  }

  const data = ['--data', reviewsFolder, '--task', 'sst2', '--max-length', '64', '--device', 'cpu'];
  const distillation = (out: string) => [
    ...['distill', '--teacher', join(folder, 'teacher'), '--student', 'layers=2', '--method', 'kd', ...data],
    ...['--out', join(folder, out), '--epochs', '2', '--lr', '1e-3', '--set', 'train.saveEvery=0.1'],
    // Two batches to a step: gradient sums are part of what is resumed.
    ...['--set', 'train.accumulate=2', '--batch', '16', '--limit', '800'],
  ];

  it('is the uninterrupted run, byte for byte', { timeout: 240_000 }, async () => {
    const config = await readFile(join(tokenizerFolder, 'config.json'), 'utf8');
    await writeTinyClassifier(join(folder, 'teacher'), { config: JSON.parse(config) as Record<string, unknown> });
    const began = Date.now();
    await finish(distillation('whole'));
    const whole = Date.now() - began;

    const random = seeded(7);
    let kills = 0;
    for (let attempt = 0; attempt < KILLS; attempt++) {
      const child = start([...distillation('killed'), '--resume']);
      const exited = once(child, 'exit');
      const timer = setTimeout(() => child.kill('SIGKILL'), whole * (0.25 + 0.65 * random.float()));
      const [, signal] = (await exited) as [number | null, string | null];
      clearTimeout(timer);
      if (signal === 'SIGKILL') kills++;
      else break;
    }
    assert.ok(kills > 0, 'at least one run was killed before its end');
    await finish([...distillation('killed'), '--resume']);

    const read = (out: string, file: string) => readFile(join(folder, out, file));
    for (const file of ['model.safetensors', 'config.json', 'metrics.jsonl'])
      assert.deepEqual(await read('killed', file), await read('whole', file), file);
  });
});
