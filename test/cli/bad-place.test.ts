/** Places that cannot be read or written, and runs that fail on the way: what was there before stays whole. */
import assert from 'node:assert/strict';
import { access, chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadCheckpoint } from '../../src/checkpoint/index.ts';
import type { Tensor } from '../../src/graph/index.ts';
import {
  assertRefused,
  finetuning,
  finetuningTo,
  goodInput,
  runIn,
  snapshot,
  usePlace,
  writeModel,
  type BadInput,
} from './bad-input.ts';

const place = usePlace();
const windows = process.platform === 'win32' ? 'Windows has no such permissions' : undefined;

describe('without permission', () => {
  /** Does something as a user who is not root; root may read everything. */
  async function asOrdinaryUser<T>(work: () => Promise<T>): Promise<T> {
    const isRoot = process.getuid?.() === 0;
    if (!isRoot) return work();
    const nobody = 65534;
    process.seteuid?.(nobody);
    try {
      return await work();
    } finally {
      process.seteuid?.(0);
    }
  }

  const rows: readonly (BadInput & { readonly closed: string; readonly mode: number })[] = [
    {
      name: 'to read a model',
      closed: 'model/model.safetensors',
      mode: 0,
      words: ['inspect', '@model'],
      code: 'file-not-accessible',
      says: ['no permission to use @model/model.safetensors'],
    },
    {
      name: 'to look into a folder',
      closed: 'data',
      mode: 0,
      words: ['eval', '--model', '@model', '--data', '@data', '--task', 'sst2'],
      code: 'file-not-accessible',
      says: ['no permission to use @data'],
    },
    {
      name: 'to read examples',
      closed: 'data/dev.tsv',
      mode: 0,
      words: ['eval', '--model', '@model', '--data', '@data', '--task', 'sst2'],
      code: 'file-not-accessible',
      says: ['no permission to use @data/dev.tsv'],
    },
    {
      name: 'to write the result',
      closed: 'runs',
      mode: 0o555,
      words: [...finetuningTo, '@runs/out'],
      code: 'file-not-accessible',
      says: ['no permission to use @runs/out'],
    },
  ];
  for (const row of rows)
    it(row.name, { skip: windows ?? false }, async (t) => {
      const folder = await place.folder();
      await goodInput(folder);
      await mkdir(join(folder, 'runs'));
      for (const path of [join(folder, '..'), folder]) await chmod(path, 0o755);
      // Everything that a command imports, while it may be read.
      await runIn(folder, [...row.words.slice(0, -1), row.words.at(-1)!.replace('@runs/', '@')]);
      const found = await snapshot(folder);
      await chmod(join(folder, row.closed), row.mode);
      try {
        await asOrdinaryUser(async () => {
          const reachable = await access(fileURLToPath(import.meta.url)).then(
            () => true,
            () => false,
          );
          if (!reachable) return t.skip('the repository is closed to users other than root');
          assertRefused(await runIn(folder, row.words), { ...row, suggests: true }, folder);
        });
      } finally {
        await chmod(join(folder, row.closed), 0o755);
      }
      assert.deepEqual(await snapshot(folder), found, 'nothing is written');
    });
});

describe('a loss that is no number', () => {
  it('from the first step: nothing is written', async () => {
    const folder = await place.folder();
    await goodInput(folder);
    await writeModel(join(folder, 'model'), {}, (weights) => {
      (weights.get('classifier.bias') as Tensor<'float32'>).data[0] = NaN;
    });
    const found = await snapshot(folder);
    const outcome = await runIn(folder, finetuning);
    const says = [
      'the loss became NaN at step 1',
      'no checkpoint had been written yet',
      'a lower learning rate (--lr)',
    ];
    assertRefused(outcome, { code: 'loss-not-finite', says }, folder);
    assert.deepEqual(await snapshot(folder), found);
  });

  it('after a good epoch: the checkpoint of that epoch stays whole, and can be used', async () => {
    const folder = await place.folder();
    await goodInput(folder);
    // One step per epoch: the first is taken at a rate of almost 0, the second at all of 1e38.
    const words = [...finetuning, '--lr', '1e38', '--set', 'train.warmup=1', '--set', 'train.epochs=4'];
    const outcome = await runIn(folder, words);
    assertRefused(outcome, { code: 'loss-not-finite', says: [/the best checkpoint \(step 1\) is kept/] }, folder);
    const { weights } = await loadCheckpoint(join(folder, 'out'));
    for (const value of weights.values()) assert.ok(value.data.every(Number.isFinite));
    const used = await runIn(folder, ['predict', '--model', '@out', 'superb', '--device', 'cpu']);
    assert.equal(used.text, '');
    assert.ok(!(await readdir(join(folder, 'out'))).some((name) => name.endsWith('.tmp')));
  });
});
