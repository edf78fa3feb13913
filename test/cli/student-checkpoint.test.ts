/** kdx distill with a checkpoint as the student, in place of a shape. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { it } from 'node:test';
import { loadCheckpoint } from '../../src/checkpoint/index.ts';
import { goodData, goodInput, runIn, usePlace, writeModel } from './bad-input.ts';

const place = usePlace();

it('keeps its own shape and gets the labels of the task', async () => {
  const folder = await place.folder();
  await goodInput(folder);
  await writeModel(join(folder, 'small'), { num_hidden_layers: 1, intermediate_size: 4, id2label: { 0: 'score' } });
  const outcome = await runIn(folder, [
    ...['distill', '--teacher', '@model', '--student', '@small', ...goodData, '--out', '@out'],
    ...['--epochs', '1', '--max-length', '16', '--device', 'cpu'],
  ]);
  assert.equal(outcome.text, '');
  const { config } = await loadCheckpoint(join(folder, 'out'));
  assert.deepEqual([config.layers, config.intermediateSize, config.labels], [1, 4, ['negative', 'positive']]);
});
