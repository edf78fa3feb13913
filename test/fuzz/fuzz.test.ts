/** Mutated ONNX, safetensors and configuration files: read or refused, never a crash, a hang or a leak. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCampaign } from './campaign.ts';

const MUTATIONS = 300;

test(`${MUTATIONS} mutations of valid files`, async () => {
  const { faults, refused } = await runCampaign(0, MUTATIONS);
  assert.deepEqual(faults, []);
  assert.ok(refused > MUTATIONS / 3, `only ${refused} were refused`);
  assert.ok(refused < MUTATIONS, 'nothing was read');
});
