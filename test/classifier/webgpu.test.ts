/** Inference by WebGPU, on a software adapter where there is no GPU: nothing read back but the CPU's logits. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openClassifier, openSource, predict } from '../../src/classifier/index.ts';
import { openEngine } from '../../src/engine/index.ts';
import { readModel } from '../../src/onnx/index.ts';
import { temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { useSoftwareVulkan } from '../support/software-vulkan.ts';

const skip = await useSoftwareVulkan();

test('predictions of webgpu are those of the CPU', { skip }, async (t) => {
  const dir = await temporaryFolder(t);
  await writeTinyClassifier(dir);
  const source = await openSource(dir);
  const texts = ['a film', 'one of the worst films of the year, and long', 'good'].map((text) => ({ text }));
  const logitsOn = async (device: 'cpu' | 'webgpu') => {
    const engine = await openEngine({ device });
    const classifier = await openClassifier(source, engine, { optimizedModelPath: join(dir, `${device}.onnx`) });
    const predictions = await predict(classifier, texts);
    await engine.close();
    return predictions.flatMap(({ logits }) => logits);
  };
  const [expected, actual] = [await logitsOn('cpu'), await logitsOn('webgpu')];
  const distance = Math.max(...expected.map((value, i) => Math.abs(value - actual[i]!)));
  assert.ok(distance < 1e-5, `logits differ by ${distance}`);
  assert.ok(Math.max(...expected.map(Math.abs)) > 0.1);
  // Of the inputs, the ids cross as a node: their shape is wanted on the CPU too.
  const { nodes } = (await readModel(join(dir, 'webgpu.onnx'))).graph;
  const copies = nodes.filter(({ opType }) => opType.startsWith('Memcpy'));
  assert.deepEqual(
    copies.map(({ opType, inputs }) => [opType, ...inputs]),
    [['MemcpyFromHost', 'input_ids']],
  );
});
