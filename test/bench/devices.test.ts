/** Several devices in one bench: a combination each, and what is not there is said before anything is measured. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { reportNotes } from '../../plugins/bench/src/page/statements.ts';
import type { BenchReport } from '../../plugins/bench/src/report.ts';
import { deviceVariables } from '../../src/engine/index.ts';
import { runCommand } from '../cli/run-command.ts';
import { useSoftwareVulkan } from '../support/software-vulkan.ts';
import { temporaryFolder } from '../support/tiny-classifier.ts';

const skip = await useSoftwareVulkan();

/** As small as an encoder can be: a software adapter compiles each shader for seconds. */
const config = {
  ...{ model_type: 'bert', vocab_size: 64, max_position_embeddings: 16, type_vocab_size: 2 },
  ...{ hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16 },
};

test('cpu and webgpu: the same models on each', { skip }, async (t) => {
  const dir = await temporaryFolder(t);
  await writeFile(join(dir, 'tiny.json'), JSON.stringify(config));
  const model = `config:${join(dir, 'tiny.json')}`;
  const shape = ['--length', '8', '--seconds', '0.1', '--openings', '3', '--cold-starts', '1'];
  const args = ['bench', '--teacher', model, '--student', model, '--device', 'webgpu,cpu', ...shape];
  const { result, text } = await runCommand(args);
  assert.equal(text, '');
  const { grid, scenario, teacher } = result as {
    readonly grid: readonly {
      readonly scenario: { readonly device: string };
      readonly models: readonly { readonly latencyMs: { readonly p50: number } }[];
    }[];
    readonly scenario: { readonly device: string };
    readonly teacher: { readonly coldStartMs: number | null };
  };
  assert.deepEqual(
    grid.map((cell) => cell.scenario.device),
    ['webgpu', 'cpu'],
  );
  assert.equal(scenario.device, 'webgpu', 'the first one is that of the main table');
  assert.ok(grid.every(({ models }) => models.length === 2 && models.every(({ latencyMs }) => latencyMs.p50 > 0)));
  assert.ok((teacher.coldStartMs ?? 0) > 0);
  const notes = reportNotes(result as BenchReport).join('\n');
  assert.match(notes, /^webgpu: a sample includes copying the inputs to the device/m);
  const [onGpu, onCpu] = grid.map(({ models }) => models[0]!.latencyMs.p50) as [number, number];
  assert.notEqual(onGpu, onCpu);
});

test('a device that is not there ends the command before the measuring', async (t) => {
  const dir = await temporaryFolder(t);
  await writeFile(join(dir, 'tiny.json'), JSON.stringify(config));
  const model = `config:${join(dir, 'tiny.json')}`;
  const { failure } = await runCommand(['bench', '--teacher', model, '--student', model, '--device', 'cpu,cuda']);
  assert.deepEqual([failure?.code, failure?.exitCode], ['device-unavailable', 1]);
  assert.match(failure?.message ?? '', /^device cuda is not available/);
});

test('an unknown device is named', async () => {
  const { failure } = await runCommand(['bench', '--teacher', 'a', '--student', 'b', '--device', 'cpu,gpu']);
  assert.deepEqual([failure?.code, failure?.exitCode], ['invalid-usage', 2]);
  assert.match(failure?.message ?? '', /expected devices among cpu, cuda, webgpu, found 'gpu'/);
});

test('other processes need no variables for the processor', async () => {
  assert.deepEqual(await deviceVariables('cpu'), {});
});
