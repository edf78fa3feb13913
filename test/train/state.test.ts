/** The state of a run on the device and on disk. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { tensorOf, type Tensor } from '../../src/graph/index.ts';
import type { Parameter } from '../../src/nn/index.ts';
import { loadState, removeState, saveState, TrainingState, type Position } from '../../src/train/index.ts';

describe('the state of a run', () => {
  const parameters: Parameter[] = [
    { name: 'w', shape: [2, 2], kind: 'linear' },
    { name: 'b', shape: [2], kind: 'bias' },
  ];
  const values = new Map<string, Tensor>([
    ['w', tensorOf('float32', [2, 2], [1, 2, 3, 4])],
    ['b', tensorOf('float32', [2], [5, 6])],
  ]);
  const best = { value: 0.1 + 0.2, step: 6, metrics: { accuracy: 0.1 + 0.2 } };
  const position: Position = { step: 12, seconds: 1.25 + 0.1, best };
  let engine: Engine;
  let folder: string;
  before(async () => {
    engine = await openEngine({ device: 'cpu', threads: 1 });
    folder = await mkdtemp(join(tmpdir(), 'kdx-state-'));
  });
  after(async () => {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('begins with moments of 0', async () => {
    const state = await TrainingState.create(engine, parameters, values, false);
    const all = await state.read();
    assert.deepEqual([...all.keys()], ['w', 'moment1/w', 'moment2/w', 'b', 'moment1/b', 'moment2/b']);
    assert.deepEqual(all.get('w'), values.get('w'));
    assert.deepEqual(all.get('moment2/w'), tensorOf('float32', [2, 2], [0, 0, 0, 0]));
    assert.deepEqual(Object.keys(state.select(['b', 'moment1/w'])), ['b', 'moment1/w']);
    assert.throws(() => state.variable('sum/w'), /internal: no state sum\/w/);
    await state.free();
  });

  it('comes back from its file, gradient sums as 0', async () => {
    const path = join(folder, 'state.safetensors');
    const state = await TrainingState.create(engine, parameters, values, true);
    const moment = tensorOf('float32', [2], [0.5, -0.25]);
    await engine.write([state.variable('moment1/b'), state.variable('sum/b')], [moment, moment]);
    await saveState(path, state, position);
    const saved = (await loadState(path))!;
    assert.deepEqual(saved.position, position);
    assert.ok(![...saved.values.keys()].some((name) => name.startsWith('sum/')));
    const again = await TrainingState.create(engine, parameters, saved.values, true);
    const [now, then] = [await again.read(), await state.read()];
    assert.deepEqual(now, new Map(then).set('sum/b', tensorOf('float32', [2], [0, 0])));
    assert.deepEqual(now.get('moment1/b'), moment);
    await state.free();
    await again.free();
    await removeState(path);
    await removeState(path);
    assert.equal(await loadState(path), undefined);
  });

  it('has constants that are no part of what is read and saved', async () => {
    const frozen = new Map([['teacher/w', tensorOf('float32', [1], [7])]]);
    const state = await TrainingState.create(engine, parameters, values, false, frozen);
    assert.deepEqual(Object.keys(state.among(['b', 'labels', 'teacher/w'])), ['b', 'teacher/w']);
    assert.deepEqual(await state.read(['teacher/w']), frozen);
    assert.ok(!(await state.read()).has('teacher/w'));
    const path = join(folder, 'frozen.safetensors');
    await saveState(path, state, position);
    assert.ok(!(await loadState(path))!.values.has('teacher/w'));
    await state.free();
  });

  it('needs a value for every parameter', async () => {
    await assert.rejects(TrainingState.create(engine, parameters, new Map([['w', values.get('w')!]]), false), {
      message: 'internal: no initial value for b',
    });
  });

  it('is not any safetensors file', async () => {
    const path = join(folder, 'weights.safetensors');
    await writeSafetensors(path, values);
    assert.equal((await readSafetensors(path)).tensors.size, 2);
    await assert.rejects(loadState(path), {
      code: 'corrupt-run',
      message: /weights\.safetensors is not the state of a run/,
    });
  });
});
