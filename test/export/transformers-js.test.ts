/** An exported folder in @huggingface/transformers, offline: the same answers as `predict`. */
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { exportCheckpoint, paritySentences } from '../../plugins/export/src/index.ts';
import { openClassifier, openSource, predict } from '../../src/classifier/index.ts';
import { openEngine } from '../../src/engine/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { temporaryFolder, tinyRoberta, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { scopeOn } from './engine-scope.ts';

const transformers = await import('@huggingface/transformers').catch(() => undefined);
const skip = transformers === undefined && '@huggingface/transformers is not installed';

/** Texts that have to be cut are left out: transformers.js cuts the last [SEP] away, unlike every other tokenizer. */
const most = 64;

for (const [name, tiny, externalData] of [
  ['tokenizer.json as it was', {}, 'auto'],
  ['tokenizer.json made from vocab.txt', { vocabularyOnly: true }, 'auto'],
  ['weights in a data file', {}, 'always'],
  ['a RoBERTa, tokenizer.json made from vocab.json and merges.txt', tinyRoberta, 'auto'],
] as const)
  test(`label and score of pipeline() and predict: ${name}`, { skip }, async (t) => {
    const { env, pipeline } = transformers!;
    const dir = await temporaryFolder(t);
    const [model, out] = [join(dir, 'model'), join(dir, 'out')];
    await writeTinyClassifier(model, tiny);
    const engine = await openEngine({ device: 'cpu', threads: 1 });
    t.after(() => engine.close());
    const signal = new AbortController().signal;
    await exportCheckpoint(model, {
      ...{ out, withEngine: scopeOn(engine), progress: silentProgress, signal, externalData },
      runtimes: ['node'],
    });
    const source = await openSource(model);
    const texts = paritySentences.filter(
      ({ text, pair }) => source.tokenizer.encode(text, pair, 999).ids.length <= most,
    );
    const expected = await predict(await openClassifier(source, engine), texts);
    assert.equal(new Set(expected.map(({ label }) => label)).size, 2, 'both labels occur');
    assert.ok(texts.length > 15 && texts.some(({ pair }) => pair !== undefined));

    env.allowRemoteModels = false;
    env.localModelPath = dirname(out);
    const classify = await pipeline('text-classification', out, { dtype: 'fp32' });
    try {
      for (const [i, { text, pair }] of texts.entries()) {
        const { label, score, logits } = expected[i]!;
        if (pair === undefined) {
          const [found] = (await classify(text)) as { label: string; score: number }[];
          assert.equal(found?.label, label, text);
          assert.ok(Math.abs(found!.score - score) < 1e-4, `${text}: ${found?.score}, ${score}`);
        } else {
          const found = await classify.model(classify.tokenizer(text, { text_pair: pair }));
          const [first] = found.logits.tolist() as number[][];
          first!.forEach((logit, j) => assert.ok(Math.abs(logit - logits[j]!) < 1e-4, `${text}, ${pair}`));
        }
      }
      const long = (await classify('a good battery and a bad screen '.repeat(99))) as unknown[];
      assert.equal(long.length, 1, 'a long text is cut, not refused');
    } finally {
      await classify.dispose();
    }
  });
