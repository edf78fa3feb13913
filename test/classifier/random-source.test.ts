/** Architectures by name: the sizes of the papers, random weights that are the same each time, a tokenizer that works. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import {
  architectureNames,
  configOfRef,
  isConfigRef,
  isLetterTokenizer,
  openSource,
  sourceConfig,
} from '../../src/classifier/index.ts';
import { loadTokenizer } from '../../src/data/index.ts';
import { KdxError } from '../../src/errors/index.ts';
import { classifierFlops, classifierParameters, parameterCount } from '../../src/nn/index.ts';
import { temporaryFolder, tinyClassifierJson, tokenizerFolder } from '../support/tiny-classifier.ts';

/** Exact counts of the papers' models, with the pooler and without the classifier, and FLOPs at length 128 as printed. */
const published: readonly (readonly [name: string, parameters: number, flops: string | undefined])[] = [
  ['bert-base', 109_482_240, '22.5'],
  ['bert-large', 335_141_888, undefined],
  ['bert-tiny', 4_385_920, undefined],
  ['bert-mini', 11_170_560, undefined],
  ['bert-small', 28_763_648, '3.4'],
  ['bert-medium', 41_373_184, undefined],
  ['tinybert4', 14_350_248, '1.2'],
  ['tinybert6', 66_955_008, '11.3'],
];
for (const [name, parameters, flops] of published)
  test(`config:${name} has ${parameters} parameters${flops === undefined ? '' : ` and ${flops} GFLOPs`}`, async () => {
    const config = await configOfRef(`config:${name}`);
    const classifier = config.hiddenSize * 2 + 2;
    assert.equal(parameterCount(classifierParameters(config, 2)) - classifier, parameters);
    if (flops === undefined) return;
    const ours = classifierFlops(config, 2, 128) / 1e9;
    // One decimal is what is printed: for 1.2 that is 4 %.
    assert.ok(Math.abs(ours / Number(flops) - 1) <= 0.02 || ours.toFixed(1) === flops, `${ours}`);
  });

test('DistilBERT has the parameters of the published model: 66 362 880 and its head', async () => {
  const config = await configOfRef('config:distilbert');
  const head = 768 * 768 + 768 + 768 * 2 + 2;
  assert.equal(parameterCount(classifierParameters(config, 2)), 66_362_880 + head);
});

test('every name is a configuration', async () => {
  for (const name of architectureNames) assert.equal((await sourceConfig(`config:${name}`)).vocabSize, 30522);
  assert.deepEqual([isConfigRef('config:bert-base'), isConfigRef('bert-base')], [true, false]);
});

test('weights are normal with the range of the configuration, and the same each time', async (t) => {
  const file = join(await temporaryFolder(t), 'small.json');
  await writeFile(file, JSON.stringify({ ...tinyClassifierJson, hidden_size: 64, initializer_range: 0.02 }));
  const [first, second] = [
    await openSource(`config:${file}`, { random: true }),
    await openSource(`config:${file}`, { random: true }),
  ];
  assert.deepEqual(first.checkpoint!.weights, second.checkpoint!.weights);
  const { data } = first.checkpoint!.weights.get('bert.embeddings.word_embeddings.weight')!;
  const moment = (power: number) => data.reduce((sum, value) => sum + (value / 0.02) ** power, 0) / data.length;
  assert.ok(Math.abs(moment(1)) < 0.03 && Math.abs(moment(2) - 1) < 0.03 && Math.abs(moment(4) - 3) < 0.2);
  assert.ok(first.checkpoint!.weights.get('bert.pooler.dense.bias')!.data.every((value) => value === 0));
  assert.deepEqual(first.config.labels, ['negative', 'positive']);
  assert.equal(first.isRandom, true);

  const { tokenizer } = first;
  assert.equal(tokenizer.vocabSize, 300);
  const { ids } = tokenizer.encode('abc 1!', undefined, 64);
  assert.equal(ids.length, 7);
  assert.ok(!ids.includes(tokenizer.unkId));
  assert.ok(isLetterTokenizer(tokenizer));
  assert.ok(!isLetterTokenizer(await loadTokenizer(tokenizerFolder)));
});

test('random weights are opened only where they are asked for, and unknown names are answered', async (t) => {
  const mistake = (code: string, message: RegExp, suggestion: RegExp) => (error: unknown) => {
    assert.ok(error instanceof KdxError, String(error));
    assert.deepEqual([error.code, error.exitCode], [code, 2]);
    assert.match(error.message, message);
    assert.match(error.suggestions.join('; '), suggestion);
    return true;
  };
  const open = (ref: string) => openSource(ref, { random: true });
  await assert.rejects(openSource('config:bert-tiny'), mistake('random-weights', /nothing to learn/, /kdx bench/));
  await assert.rejects(
    open('config:tinybert5'),
    mistake('unknown-architecture', /tinybert5/, /^config:tinybert[46]; known/),
  );
  await assert.rejects(open('config:constructor'), mistake('unknown-architecture', /constructor/, /known: bert-large/));
  await assert.rejects(
    open('config:tinybert4,int8'),
    mistake('unknown-architecture', /says nothing of int8/, /export --onnx --model config:tinybert4 .*int8/),
  );
  await assert.rejects(open('config:absent.json'), mistake('file-not-found', /absent\.json/, /^$/));
  const file = join(await temporaryFolder(t), 'few.json');
  await writeFile(file, JSON.stringify({ ...tinyClassifierJson, vocab_size: 3 }));
  await assert.rejects(open(`config:${file}`), mistake('invalid-vocabulary', /no token \[SEP\]/, /./));
});
