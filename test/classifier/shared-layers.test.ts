/** A model whose layers are shared and shuffled (SPS): stored once everywhere, and made plain by `unshare`. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import {
  loadCheckpoint,
  parseConfig,
  readSafetensorsHeader,
  saveCheckpoint,
  unshare,
  type BertConfig,
  type Checkpoint,
} from '../../src/checkpoint/index.ts';
import { checkpointModel, summarizeGraph } from '../../src/classifier/index.ts';
import { elementCount, tensorOf, type Tensor } from '../../src/graph/index.ts';
import { classifierParameters, encoderParameters, parameterCount, plainPlan } from '../../src/nn/index.ts';
import { decodeModel, encodeModel } from '../../src/onnx/index.ts';
import { distance } from '../support/golden.ts';
import { runModel } from '../support/run-model.ts';
import { seeded } from '../support/seeded.ts';
import { temporaryFolder, tinyClassifierJson, writeTinyClassifier } from '../support/tiny-classifier.ts';

const plan = { num_hidden_layers: 6, kdx_layer_plan: [0, 1, 2, 0, 1, 2], kdx_swapped_depths: [3, 4, 5] };
const plainConfig = parseConfig({ ...tinyClassifierJson, num_hidden_layers: 3 }, 'config.json');

async function writeShared(t: TestContext, changes = {}): Promise<string> {
  const dir = await temporaryFolder(t);
  await writeTinyClassifier(dir, { config: { ...plan, ...changes } });
  return dir;
}

const random = seeded(6);
const ids = Array.from({ length: 40 }, () => 1 + random.integer(299));
const inputs = new Map<string, Tensor>([
  ['input_ids', tensorOf('int64', [4, 10], ids)],
  ['attention_mask', tensorOf('int64', [4, 10], ids.map((_, i) => (i % 10 < 10 - 2 * Math.floor(i / 10) ? 1 : 0)))],
  ['token_type_ids', tensorOf('int64', [4, 10], ids.map((_, i) => (i % 10 > 4 ? 1 : 0)))],
]); // prettier-ignore

async function logits(model: Pick<Checkpoint, 'config' | 'weights'>): Promise<Tensor> {
  return (await (await runModel(checkpointModel(model)))(inputs))['logits'] as Tensor;
}

describe('a shared model', () => {
  it('is saved with each tensor once, and reloads shared with the same logits', async (t) => {
    const dir = await writeShared(t);
    const loaded = await loadCheckpoint(dir);
    const { entries } = await readSafetensorsHeader(join(dir, 'model.safetensors'));
    assert.deepEqual(
      entries.map(({ name }) => name),
      classifierParameters(plainConfig, 2).map(({ name }) => name),
    );
    assert.deepEqual(
      [loaded.config.layerPlan, loaded.config.swappedDepths],
      [
        [0, 1, 2, 0, 1, 2],
        [3, 4, 5],
      ],
    );
    await saveCheckpoint(join(dir, 'again'), loaded);
    assert.deepEqual(await logits(await loadCheckpoint(join(dir, 'again'))), await logits(loaded));
  });

  it('answers otherwise without the shuffle, and otherwise than its first half', async (t) => {
    const loaded = await loadCheckpoint(await writeShared(t));
    const { swappedDepths: _, ...straight } = loaded.config;
    const half: BertConfig = { ...straight, layers: 3, layerPlan: plainPlan(3) };
    for (const config of [straight, half])
      assert.ok(distance(await logits(loaded), await logits({ ...loaded, config })) > 1e-3);
  });

  it('has the parameters of the plain model of its physical layers', () => {
    const base = { hidden_size: 768, num_attention_heads: 12, intermediate_size: 3072, max_position_embeddings: 512 };
    const json = { ...tinyClassifierJson, ...base, vocab_size: 30522 };
    const shared = parseConfig({ ...json, ...plan }, 'config.json');
    const pooler = 768 * 768 + 768;
    assert.equal(parameterCount(encoderParameters(shared)) + pooler, 45_691_392);
    const plain = parseConfig({ ...json, num_hidden_layers: 3 }, 'config.json');
    assert.deepEqual(classifierParameters(shared, 2), classifierParameters(plain, 2));
  });

  it('is one set of initializers in ONNX', async (t) => {
    const checkpoint = await loadCheckpoint(await writeShared(t));
    const model = decodeModel(encodeModel(checkpointModel(checkpoint)).bytes);
    const parameters = classifierParameters(plainConfig, 2);
    const weights = [...model.graph.initializers].filter(([name]) => parameters.some((p) => p.name === name));
    assert.equal(weights.length, parameters.length);
    const { duplicates, parameters: count } = summarizeGraph(model.graph);
    assert.deepEqual(duplicates, []);
    assert.equal(count, parameterCount(parameters));
    const scores = model.graph.nodes.filter(({ inputs }) => inputs.includes(swappedKey));
    // Once as a key, once as a query.
    assert.equal(scores.length, 2);
  });
});

const swappedKey = 'bert.encoder.layer.0.attention.self.key.weight';

describe('unshare', () => {
  /** A shared checkpoint, and what `unshare` makes of it, saved and loaded. */
  async function both(t: TestContext): Promise<{ dir: string; shared: Checkpoint; plain: Checkpoint }> {
    const dir = await writeShared(t);
    const shared = await loadCheckpoint(dir);
    await saveCheckpoint(join(dir, 'plain'), unshare(shared));
    return { dir, shared, plain: await loadCheckpoint(join(dir, 'plain')) };
  }

  it('gives a plain folder with the same logits', async (t) => {
    const { dir, shared, plain } = await both(t);
    const json = JSON.parse(await readFile(join(dir, 'plain', 'config.json'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual(
      Object.keys(json).filter((key) => key.startsWith('kdx')),
      [],
    );
    assert.equal(json['num_hidden_layers'], 6);
    assert.deepEqual([plain.config.layerPlan, plain.config.swappedDepths], [plainPlan(6), undefined]);
    assert.deepEqual(plain.extra, new Map());
    assert.deepEqual(await logits(plain), await logits(shared));
  });

  it('copies layers, with query and key exchanged at swapped depths', async (t) => {
    const { shared, plain } = await both(t);
    const of = ({ weights }: Checkpoint, layer: number, part: string) =>
      weights.get(`bert.encoder.layer.${layer}.${part}`) ?? assert.fail(part);
    for (const kind of ['weight', 'bias'])
      for (const [depth, layer] of [
        [0, 0],
        [4, 1],
        [5, 2],
      ] as const) {
        // prettier-ignore
        const swapped = depth > 2;
        assert.deepEqual(
          of(plain, depth, `attention.self.query.${kind}`),
          of(shared, layer, `attention.self.${swapped ? 'key' : 'query'}.${kind}`),
        );
        for (const part of ['attention.self.value', 'attention.output.LayerNorm', 'output.dense'])
          assert.deepEqual(of(plain, depth, `${part}.${kind}`), of(shared, layer, `${part}.${kind}`));
      }
    const layer = [...shared.weights].filter(([name]) => name.startsWith('bert.encoder.layer.0.'));
    const added = 3 * layer.reduce((sum, [, { dims }]) => sum + elementCount(dims), 0);
    const total = (config: BertConfig) => parameterCount(classifierParameters(config, 2));
    assert.equal(total(plain.config) - total(shared.config), added);
  });

  it('leaves a plain model as it is', async (t) => {
    const { plain } = await both(t);
    const again = unshare(plain);
    assert.deepEqual(again.weights, plain.weights);
    assert.deepEqual(again.config, plain.config);
  });

  it('works without the shuffle, and for a masked language model', async (t) => {
    const loaded = await loadCheckpoint(await writeShared(t, { kdx_swapped_depths: undefined }));
    assert.deepEqual(await logits(unshare(loaded)), await logits(loaded));
    const bias = tensorOf('float32', [300], new Array<number>(300).fill(1));
    const { weights } = unshare({ ...loaded, weights: new Map([...loaded.weights, ['cls.predictions.bias', bias]]) });
    assert.equal(weights.get('cls.predictions.bias'), bias);
  });
});
