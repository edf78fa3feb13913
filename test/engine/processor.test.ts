/** Cores, limits and instruction sets, from samples of what Linux says. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { processor } from '../../src/engine/index.ts';
import { cgroupQuota, coresIn, flagsIn } from '../../src/engine/processor.ts';

const logical = (socket: number, core: number) =>
  `processor\t: 0\nphysical id\t: ${socket}\ncore id\t\t: ${core}\nflags\t\t: fpu avx2 avx512_vnni sse`;

test('hyper-threads of one core count once, sockets separately', () => {
  const cpuinfo = [logical(0, 0), logical(0, 0), logical(0, 1), logical(1, 0)].join('\n\n');
  assert.equal(coresIn(cpuinfo), 3);
  assert.deepEqual(flagsIn(cpuinfo), ['avx2', 'avx512_vnni']);
});

test('ARM lists features and no cores', () => {
  const cpuinfo = 'processor\t: 0\nFeatures\t: fp asimd i8mm bf16\n';
  assert.equal(coresIn(cpuinfo), undefined);
  assert.deepEqual(flagsIn(cpuinfo), ['asimd', 'i8mm', 'bf16']);
});

test('limits of a container bound the threads', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kdx-test-'));
  const cpuinfo = join(folder, 'cpuinfo');
  await writeFile(cpuinfo, Array.from({ length: 64 }, (_, i) => logical(0, i)).join('\n\n'));
  assert.equal(cgroupQuota(folder), undefined);
  assert.equal(processor(cpuinfo, folder).threads, Math.min(64, availableParallelism()));

  await mkdir(join(folder, 'cpu'));
  await writeFile(join(folder, 'cpu', 'cpu.cfs_quota_us'), '-1\n');
  await writeFile(join(folder, 'cpu', 'cpu.cfs_period_us'), '100000\n');
  assert.equal(cgroupQuota(folder), undefined);
  await writeFile(join(folder, 'cpu', 'cpu.cfs_quota_us'), '50000\n');
  assert.equal(cgroupQuota(folder), 0.5);
  assert.equal(processor(cpuinfo, folder).threads, 1);

  await writeFile(join(folder, 'cpu.max'), 'max 100000\n');
  assert.equal(cgroupQuota(folder), undefined);
  await writeFile(join(folder, 'cpu.max'), '150000 100000\n');
  assert.equal(cgroupQuota(folder), 1.5);
  await rm(folder, { recursive: true });
});
