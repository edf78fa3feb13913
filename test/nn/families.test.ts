/** Heads and families other than BERT's classifier against Transformers: logits, loss, gradients (golden values). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gradients } from '../../src/autodiff/index.ts';
import { canonicalName, loadCheckpoint, readSafetensors, type BertConfig } from '../../src/checkpoint/index.ts';
import { modelOf, numbersOf, tensorOf, type Tensor } from '../../src/graph/index.ts';
import {
  bertClassifier,
  bertEncoder,
  classifierParameters,
  crossEntropy,
  encoderParameters,
  fromCheckpoint,
  maskedLmHead,
  maskedLmParameters,
  parameterCount,
  plainPlan,
  toCheckpoint,
  type BertArchitecture,
  type BertInputs,
  type Family,
  type Parameter,
  type ParameterSource,
} from '../../src/nn/index.ts';
import { GraphBuilder, type Value } from '../../src/ops/index.ts';
import { distance, goldenArchitecture } from '../support/golden.ts';
import { runModel } from '../support/run-model.ts';

interface Head {
  readonly parameters: (config: BertConfig) => Parameter[];
  /** Logits [rows, outputs] in the order of the golden labels. */
  readonly logits: (g: GraphBuilder, config: BertConfig, parameter: ParameterSource, inputs: BertInputs) => Value;
}

const classifier: Head = {
  parameters: (config) => classifierParameters(config, 3),
  logits: (g, config, parameter, inputs) => bertClassifier(g, config, parameter, inputs).logits,
};

const maskedLm: Head = {
  parameters: (config) => [...encoderParameters(config), ...maskedLmParameters(config)],
  logits(g, config, parameter, inputs) {
    const last = bertEncoder(g, config, parameter, inputs).hiddenStates.at(-1) as Value;
    return maskedLmHead(g, config, parameter, g.reshape(last, [-1, config.hiddenSize]));
  },
};

const cases: Readonly<Record<string, Head>> = {
  'masked-lm': maskedLm,
  distilbert: classifier,
  'distilbert-masked-lm': maskedLm,
  roberta: classifier,
  'roberta-masked-lm': maskedLm,
};

/** As PyTorch has it: a token with this label is no target. */
const NO_TARGET = -100;

/** Logits of a masked language model without those of padding; others as they are. */
function ofTokens(logits: Tensor, mask: Tensor): Tensor<'float32'> {
  const values = numbersOf(logits);
  const positions = mask.dims.reduce((product, dim) => product * dim, 1);
  const width = logits.dims.at(-1) as number;
  const isToken = numbersOf(mask);
  const kept =
    values.length === positions * width ? values.filter((_, i) => isToken[Math.floor(i / width)] === 1) : values;
  return tensorOf('float32', [kept.length], kept);
}

/** Logits, loss and the gradient of each parameter, under the names of the golden file. */
async function compute(folder: string, expected: ReadonlyMap<string, Tensor>, head: Head) {
  const { config, weights } = await loadCheckpoint(folder);
  const g = new GraphBuilder();
  const parameters = head.parameters(config);
  const inputs = new Map(parameters.map(({ name, shape }) => [name, g.input(name, 'float32', shape)]));
  const input = (name: string) => g.input(name, 'int64', expected.get('input_ids')!.dims);
  const logits = head.logits(g, config, (name) => inputs.get(name) ?? assert.fail(name), {
    inputIds: input('input_ids'),
    attentionMask: input('attention_mask'),
    tokenTypeIds: input('token_type_ids'),
  });
  const labels = numbersOf(expected.get('labels')!);
  const isTarget = labels.map((label) => (label === NO_TARGET ? 0 : 1));
  const targets = g.ints(labels.map((label) => Math.max(label, 0)));
  const loss = crossEntropy(g, logits, targets, g.constant(tensorOf('float32', [labels.length], isTarget)));
  const grads = gradients(g, loss, [...inputs.values()]);
  g.output('logits', logits);
  g.output('loss', loss);
  parameters.forEach(({ name }, i) => g.output(`gradient.${name}`, grads[i] ?? assert.fail(`no gradient of ${name}`)));
  const feeds = new Map<string, Tensor>([
    ['token_type_ids', { ...expected.get('input_ids')!, data: new BigInt64Array(27) }],
    ...expected,
    ...parameters.map((p) => [p.name, fromCheckpoint(p, weights.get(p.name)!)] as const),
  ]);
  const results = await (await runModel(modelOf(g.build('golden'))))(feeds);
  for (const parameter of parameters) {
    const name = `gradient.${parameter.name}`;
    results[name] = toCheckpoint(parameter, results[name] as Tensor<'float32'>);
  }
  return { results, config };
}

describe('graphs agree with Transformers', () => {
  for (const [name, head] of Object.entries(cases))
    it(name, async () => {
      const folder = fileURLToPath(new URL(`../../fixtures/golden/${name}`, import.meta.url));
      const { tensors: expected } = await readSafetensors(`${folder}/expected.safetensors`);
      const { results, config } = await compute(folder, expected, head);
      const unseen = new Set(Object.keys(results));
      for (const [key, value] of expected) {
        if (value.dtype !== 'float32') continue;
        const stored = /^gradient\.(.*)/.exec(key)?.[1];
        const ours = stored === undefined ? key : `gradient.${canonicalName(stored, config.family)}`;
        const [found, mask] = [results[ours] ?? assert.fail(ours), expected.get('attention_mask') as Tensor];
        // RoBERTa has a position for padding, which no token of a text sees.
        const error =
          key === 'logits' ? distance(ofTokens(found, mask), ofTokens(value, mask)) : distance(found, value);
        assert.ok(error < 1e-5, `${key} differs by ${error}`);
        unseen.delete(ours);
      }
      assert.deepEqual([...unseen], []);
    });
});

/** Probabilities at each place where the classifier of a family drops elements, in order. */
function dropoutSites(family: Family): number[] {
  const small = { ...goldenArchitecture, family, typeVocabSize: family === 'distilbert' ? 0 : 1, layerPlan: [0] };
  const architecture = { ...small, hiddenDropout: 0.1, attentionDropout: 0.2, classifierDropout: 0.3 };
  const g = new GraphBuilder();
  const parameters = new Map(
    classifierParameters(architecture, 3).map(({ name, shape }) => [name, g.input(name, 'float32', shape)]),
  );
  const ids = (name: string) => g.input(name, 'int64', [2, 5]);
  const sites: number[] = [];
  const dropout = { apply: (x: Value, probability: number) => (sites.push(probability), x) };
  const inputs = { inputIds: ids('i'), attentionMask: ids('m'), tokenTypeIds: ids('t') };
  const { logits } = bertClassifier(g, architecture, (name) => parameters.get(name)!, inputs, dropout);
  assert.deepEqual(logits.shape, [2, 3]);
  return sites;
}

describe('RoBERTa', () => {
  it('has the published number of parameters', () => {
    const base: BertArchitecture = {
      ...goldenArchitecture,
      family: 'roberta',
      vocabSize: 50265,
      hiddenSize: 768,
      heads: 12,
      intermediateSize: 3072,
      maxPositions: 512,
      firstPosition: 2,
      typeVocabSize: 1,
      layerPlan: plainPlan(12),
    };
    assert.equal(parameterCount(encoderParameters(base)), 124_055_040);
    assert.equal(parameterCount(classifierParameters(base, 2)), 124_647_170);
  });

  it('drops elements of the first token too', () => {
    // Embeddings, attention probabilities, projection, feed-forward, first token, classifier.
    assert.deepEqual(dropoutSites('roberta'), [0.1, 0.2, 0.1, 0.1, 0.3, 0.3]);
  });
});

describe('DistilBERT', () => {
  const base: BertArchitecture = {
    ...goldenArchitecture,
    family: 'distilbert',
    vocabSize: 30522,
    hiddenSize: 768,
    heads: 12,
    intermediateSize: 3072,
    maxPositions: 512,
    typeVocabSize: 0,
    layerPlan: plainPlan(6),
  };

  it('has the published number of parameters', () => {
    assert.equal(parameterCount(encoderParameters(base)), 66_362_880);
    // distilbert-base-uncased-finetuned-sst-2-english
    assert.equal(parameterCount(classifierParameters(base, 2)), 66_955_010);
  });

  it('has no dropout on the output projection of attention', () => {
    // Embeddings, attention probabilities, feed-forward, classifier.
    assert.deepEqual(dropoutSites('distilbert'), [0.1, 0.2, 0.1, 0.3]);
  });
});
