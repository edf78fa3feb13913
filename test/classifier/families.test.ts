/** DistilBERT and RoBERTa as classifiers: their graphs take no token types, and run like any other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadCheckpoint, readSafetensors } from '../../src/checkpoint/index.ts';
import {
  checkpointModel,
  classifierModel,
  openClassifier,
  openSource,
  predict,
  sizeByGroup,
} from '../../src/classifier/index.ts';
import { openEngine } from '../../src/engine/index.ts';
import { checkGraph, type Tensor } from '../../src/graph/index.ts';
import { classifierParameters } from '../../src/nn/index.ts';
import { distance } from '../support/golden.ts';
import { runModel } from '../support/run-model.ts';
import { temporaryFolder, tinyRoberta, writeTinyClassifier } from '../support/tiny-classifier.ts';

for (const family of ['distilbert', 'roberta']) {
  const golden = fileURLToPath(new URL(`../../fixtures/golden/${family}`, import.meta.url));

  test(`${family}: its inference graph reads ids and mask alone, and answers like Transformers`, async () => {
    const model = checkpointModel(await loadCheckpoint(golden));
    checkGraph(model.graph);
    const shape = ['batch_size', 'sequence_length'];
    assert.deepEqual(
      model.graph.inputs,
      ['input_ids', 'attention_mask'].map((name) => ({ name, dtype: 'int64', shape })),
    );
    const { tensors } = await readSafetensors(`${golden}/expected.safetensors`);
    const { logits } = await (await runModel(model))(tensors);
    const error = distance(logits as Tensor, tensors.get('logits') as Tensor);
    assert.ok(error < 1e-5, `logits differ by ${error}`);
  });

  test(`${family}: with parameters as inputs, each of them is one`, async () => {
    const { config } = await loadCheckpoint(golden);
    const { graph } = classifierModel(config, 3, 'inputs');
    const names = classifierParameters(config, 3).map(({ name }) => name);
    assert.deepEqual(
      graph.inputs.map(({ name }) => name),
      ['input_ids', 'attention_mask', ...names],
    );
  });
}

const tinyFolders = {
  distilbert: { config: { model_type: 'distilbert', dim: 16, n_layers: 2, n_heads: 2, hidden_dim: 24 } },
  roberta: tinyRoberta,
};
for (const [family, options] of Object.entries(tinyFolders))
  test(`${family}: a folder is opened and predicts`, async (t) => {
    const dir = await temporaryFolder(t);
    await writeTinyClassifier(dir, options);
    const engine = await openEngine({ device: 'cpu' });
    try {
      const source = await openSource(dir);
      const classifier = await openClassifier(source, engine);
      const texts = [
        { text: 'a gripping film' },
        { text: 'dull', pair: 'and far too long' },
        { text: 'longer than the positions of the model, '.repeat(20) },
      ];
      const predictions = await predict(classifier, texts);
      assert.deepEqual(
        predictions.map(({ text }) => text),
        texts.map(({ text }) => text),
      );
      assert.ok(predictions.every(({ logits }) => logits.length === 2 && logits.every(Number.isFinite)));
      await classifier.release();
      const { head, other } = sizeByGroup(source.checkpoint!.weights);
      assert.deepEqual([head?.parameters, other], [16 * 16 + 16 + 16 * 2 + 2, undefined]);
    } finally {
      await engine.close();
    }
  });
