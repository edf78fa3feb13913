/** --device: a kind, or one of several GPUs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDevice, withEngine } from '../../src/cli/index.ts';

test('a kind of device, and a number of a GPU', () => {
  for (const device of ['auto', 'cpu', 'cuda', 'webgpu'] as const) assert.deepEqual(parseDevice(device), { device });
  assert.deepEqual(parseDevice('cuda:1'), { device: 'cuda', index: 1 });
  assert.deepEqual(parseDevice('webgpu:0'), { device: 'webgpu', index: 0 });
});

test('anything else is a mistake that says what there is', () => {
  for (const wrong of ['', 'gpu', 'CUDA', 'cpu:0', 'auto:1', 'cuda:', 'cuda:-1', 'cuda:1.5', 'cuda:x', 'cuda:99999'])
    assert.throws(() => parseDevice(wrong), {
      code: 'invalid-usage',
      message: `expected one of auto, cpu, cuda, webgpu, or of several GPUs cuda:1, found '${wrong}'`,
    });
});

test('an engine of a plugin takes no number', async () => {
  const config = { runHook: () => assert.fail('nobody is asked') };
  await assert.rejects(
    withEngine({ device: 'cuda:1', engine: 'tfjs', config }, () => Promise.resolve()),
    {
      code: 'invalid-usage',
      message: '--engine tfjs takes no number of a device',
      suggestions: ['--device cuda', '--engine ort'],
    },
  );
});
