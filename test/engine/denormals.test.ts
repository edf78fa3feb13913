/** Denormals: all threads of a run treat them alike, in every engine of a process; this thread is left alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flushesDenormals } from '../../src/engine/denormals.ts';
import { openEngine } from '../../src/engine/index.ts';
import { allocate, type Tensor } from '../../src/graph/index.ts';
import { f32, model } from './graphs.ts';
import { backends } from '../support/backends.ts';

const count = 2 ** 18;
const halve = model({
  inputs: [['x', 'float32', [count]]],
  outputs: [['y', 'float32', [count]]],
  initializers: { half: f32([0.5], []) },
  nodes: [['y', 'Mul', 'x half']],
});
const x: Tensor = { dtype: 'float32', dims: [count], data: allocate('float32', count).fill(1.2e-38) };

// Two engines one after the other: ONNX Runtime itself sets the calling thread only for the first session of a process.
for (const backend of [...backends, ...backends])
  test(`${backend}: one kind of result in a run`, async () => {
    const engine = await openEngine({ backend, threads: 2 });
    const sessions = await Promise.all([engine.createSession(halve), engine.createSession(halve)]);
    const seen = new Set<number>();
    for (const session of [...sessions, ...sessions]) {
      const { y } = await session.run({ feeds: { x }, fetch: ['y'] });
      for (const value of (y as Tensor<'float32'>).data) seen.add(value);
    }
    await engine.close();
    assert.equal(seen.size, 1, `values ${[...seen].join(', ')}`);
    if (backend === 'capi' && process.platform === 'linux' && process.arch === 'x64') assert.deepEqual([...seen], [0]);
    assert.equal(flushesDenormals(), false);
  });
