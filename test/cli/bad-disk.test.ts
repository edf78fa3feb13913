/** A disk that is full in the middle of a training: said as such, nothing half-written, and --resume goes on. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { loadCheckpoint } from '../../src/checkpoint/index.ts';
import { finetuningTo, runIn, usePlace, writeModel, writeTask } from './bad-input.ts';
import { compiledKdx } from './compiled.ts';

const place = usePlace();

/** 1.6 MB of weights, and three times that for the state of a training. */
async function largeInput(folder: string): Promise<void> {
  await writeModel(join(folder, 'model'), { vocab_size: 50_000 });
  await writeTask(join(folder, 'data'));
}

/** The command line of a training, quoted for sh. */
function training(folder: string, out: string): string {
  const words = [...finetuningTo, out, '--quiet'].map((word) => word.replace(/^@/, `${folder}/`));
  return [process.execPath, compiledKdx(), ...words].map((word) => `'${word}'`).join(' ');
}

function shell(script: string, program = ['sh', '-c']): { code: number | null; stdout: string; stderr: string } {
  const [name, ...options] = program as [string, ...string[]];
  const { status, stdout, stderr } = spawnSync(name, [...options, script], { encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

it(
  'a limit on the size of a file: no model, no temporary file',
  { skip: process.platform === 'win32' && 'Windows has no ulimit' },
  async () => {
    const folder = await place.folder();
    await largeInput(folder);
    // Blocks of 512 or 1024 bytes.
    const { code, stderr } = shell(`ulimit -f 1024; ${training(folder, '@out')}`);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /Error \[file-too-large\]: .*\/out\/model\.safetensors becomes larger than .*\nTry: .*--out/);
    const names = await readdir(join(folder, 'out'));
    assert.ok(!names.some((name) => /model\.safetensors|tmp$|lock$/.test(name)), names.join());

    const resumed = await runIn(folder, [...finetuningTo, '@out', '--resume']);
    assert.equal(resumed.text, '');
  },
);

/** Runs a script where it may mount; what it mounts is gone afterwards. */
const unshared = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c'];
const canMount = process.platform === 'linux' && shell('mount -t tmpfs none /mnt', unshared).code === 0;

it(
  'a full disk: the checkpoint of the first epoch stays whole, and --resume goes on when there is space',
  { skip: !canMount && 'this user may not mount a small file system' },
  async () => {
    const folder = await place.folder();
    await largeInput(folder);
    const disk = join(folder, 'disk');
    const kept = join(folder, 'kept');
    await mkdir(disk);
    const out = '@disk/out';
    const { code, stdout, stderr } = shell(
      `mount -t tmpfs -o size=4m none '${disk}' || exit 99
      ${training(folder, out)}; code=$?
      ls '${disk}/out'
      cp -r '${disk}/out' '${kept}'
      mount -o remount,size=64m '${disk}' && ${training(folder, out)} --resume >&2 || exit 98
      exit $code`,
      unshared,
    );
    assert.equal(code, 2, stderr);
    assert.match(
      stderr,
      /Error \[disk-full\]: no space left on the disk that holds .*\/out\/finetuning\.state\.safetensors\nTry: free/,
    );
    assert.doesNotMatch(stdout, /tmp$|lock$/m);
    assert.equal((await loadCheckpoint(kept)).config.vocabSize, 50_000);
    assert.ok(!existsSync(join(kept, 'finetuning.state.safetensors')));
  },
);
