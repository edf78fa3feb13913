/** Candidates of a masked language model, against one sequence at a time with every logit sorted. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { tensor, type Tensor } from '../../src/graph/index.ts';
import { openCandidates, type CandidateOptions } from '../../plugins/distill/src/augment/candidates.ts';
import { maskedLmModel, maskedRow, type RowLayout } from '../../plugins/distill/src/augment/masked-lm.ts';
import { sentenceReader } from '../../plugins/distill/src/augment/sentence.ts';
import { englishStopWords } from '../../plugins/distill/src/augment/stop-words.ts';
import { normalizeRows } from '../../plugins/distill/src/augment/vectors.ts';
import { runModel } from '../support/run-model.ts';
import { temporaryFolder } from '../support/tiny-classifier.ts';
import { tinyModel, type TinyModel } from './tiny-masked-lm.ts';

describe('maskedRow', () => {
  const layout: RowLayout = { clsId: 1, sepId: 2, maskId: 3, visible: 'original', secondType: 1, maxLength: 64 };
  const pieces = [[10], [11, 12], [13]];
  const rows: readonly [
    name: string,
    at: number,
    changes: Partial<RowLayout>,
    ids: string,
    types: string,
    mask?: number,
  ][] = [
    ['the original is the second segment', 0, {}, '1 3 11 12 13 2 10 11 12 13 2', '0 0 0 0 0 0 1 1 1 1 1', 1],
    ['a word behind one of two pieces', 2, {}, '1 10 11 12 3 2 10 11 12 13 2', '0 0 0 0 0 0 1 1 1 1 1', 4],
    ['without the original', 2, { visible: 'masked-only' }, '1 10 11 12 3 2', '0 0 0 0 0 0', 4],
    [
      'a model without a second segment',
      0,
      { secondType: 0 },
      '1 3 11 12 13 2 10 11 12 13 2',
      '0 0 0 0 0 0 0 0 0 0 0',
      1,
    ],
    ['cut behind the mask', 2, { maxLength: 5 }, '1 10 11 12 3', '0 0 0 0 0', 4],
    ['the mask itself would be cut off', 2, { maxLength: 4 }, '', ''],
  ];
  const numbers = (text: string) => text.split(' ').map(Number);
  for (const [name, at, changes, ids, typeIds, position] of rows)
    it(name, () => {
      const row = maskedRow(pieces, at, { ...layout, ...changes });
      const expected = position === undefined ? undefined : { ids: numbers(ids), typeIds: numbers(typeIds), position };
      assert.deepEqual(row, expected);
    });
});

describe('candidates of a masked language model', () => {
  let engine: Engine;
  before(async () => {
    engine = await openEngine({ device: 'cpu', threads: 1 });
  });
  after(() => engine.close());

  const texts = [
    'The app is really annoying , but the filter is rather impressive .',
    'superb screen',
    'not the same again',
    'my sister loves the quiet keyboard and the sturdy packaging of this wonderful kitchen blade in march',
  ];

  const options = (model: TinyModel): CandidateOptions => ({
    ...model,
    engine,
    count: 15,
    visible: 'original',
    batch: 5,
  });

  async function candidatesOf(changes: Partial<CandidateOptions> & TinyModel, list = texts) {
    const source = await openCandidates({ ...options(changes), ...changes });
    try {
      const sentences = list.map(sentenceReader(changes.words, 'letters', englishStopWords));
      return { kind: source.kind, sentences, found: await source.find(sentences) };
    } finally {
      await source.release();
    }
  }

  /** Every logit at the mask, of one sequence without padding. */
  async function logitsAt({ checkpoint, tokenizer }: TinyModel, text: string, word: string, visible: boolean) {
    const { ids } = tokenizer.encode(text, visible ? text : undefined, 160);
    const at = ids.indexOf(tokenizer.idOf(word) as number);
    ids[at] = tokenizer.maskId as number;
    const second = ids.indexOf(tokenizer.sepId) + 1;
    const row = (values: readonly number[]) => tensor('int64', [1, ids.length], BigInt64Array.from(values, BigInt));
    const run = await runModel(maskedLmModel(checkpoint));
    const inputs: [string, Tensor][] = [
      ['input_ids', row(ids)],
      ['attention_mask', row(ids.map(() => 1))],
      ['token_type_ids', row(ids.map((_, i) => (i < second ? 0 : 1)))],
      ['positions', tensor('int64', [1], BigInt64Array.of(BigInt(at)))],
    ];
    return (await run(new Map(inputs)))['logits']!.data as Float32Array;
  }

  function bestTokens(logits: Float32Array, { tokenizer }: TinyModel, count: number): string[] {
    const order = [...logits.keys()].sort((a, b) => (logits[b] as number) - (logits[a] as number)).slice(0, count);
    return order.map((id) => tokenizer.tokens[id] ?? '[hole]').filter((token) => !/^(##|\[)/.test(token));
  }

  for (const visible of ['original', 'masked-only'] as const)
    it(`are the largest logits at the mask, ${visible}`, async (t) => {
      const model = await tinyModel(await temporaryFolder(t));
      const { kind, sentences, found } = await candidatesOf({ ...model, visible });
      assert.equal(kind, 'masked-lm');
      for (const [s, text] of texts.entries())
        for (const i of sentences[s]!.eligible) {
          const word = sentences[s]!.words[i] as string;
          if (model.words.pieces(word).length > 1) continue;
          const logits = await logitsAt(model, text, word, visible === 'original');
          assert.deepEqual(found[s]![i], bestTokens(logits, model, 15), `${word} of ${text}`);
        }
    });

  it('are cut to K first, then pieces are left out', async (t) => {
    const model = await tinyModel(await temporaryFolder(t));
    const { found } = await candidatesOf(model);
    const all = found.flat().filter((list) => list.length > 0);
    assert.ok(all.some((list) => list.length < 15));
    assert.ok(all.flat().every((word) => !/^(##|\[)/.test(word)));
  });

  it('may hold the word itself', async (t) => {
    const model = await tinyModel(await temporaryFolder(t));
    const { found } = await candidatesOf({ ...model, count: 300 }, ['superb screen']);
    assert.ok(found[0]![0]!.includes('superb'));
  });

  it('are the same whatever is looked up together', async (t) => {
    const model = await tinyModel(await temporaryFolder(t));
    const together = await candidatesOf(model);
    for (const batch of [1, 64]) assert.deepEqual((await candidatesOf({ ...model, batch })).found, together.found);
    for (const [i, text] of texts.entries())
      assert.deepEqual((await candidatesOf(model, [text])).found[0], together.found[i]);
  });

  it('a word of several pieces gets neighbours of the vectors, without vectors none', async (t) => {
    const model = await tinyModel(await temporaryFolder(t));
    assert.ok(model.words.pieces('impressive').length > 1);
    const vectors = {
      words: ['impressive', 'striking', 'superb'],
      matrix: Float32Array.of(1, 0, 9, 1, 0, 1),
      dimensions: 2,
    };
    normalizeRows(vectors.matrix, 2);
    const at = (words: readonly string[], word: string) => words.indexOf(word);
    const bare = await candidatesOf(model);
    const full = await candidatesOf({ ...model, vectors });
    const { words } = bare.sentences[0]!;
    assert.deepEqual(bare.found[0]![at(words, 'impressive')], []);
    assert.deepEqual(full.found[0]![at(words, 'impressive')], ['striking', 'superb']);
    // One piece: the model's, although `superb` has a vector. A stop word: none.
    assert.deepEqual(full.found[1], bare.found[1]);
    assert.deepEqual(full.found[0]![at(words, 'but')], []);
  });

  it('behind the last position of the model there are none', async (t) => {
    const model = await tinyModel(await temporaryFolder(t), true, { max_position_embeddings: 6 });
    const { found, sentences } = await candidatesOf(model, ['superb screen superb screen superb screen superb']);
    const withAny = sentences[0]!.eligible.filter((i) => found[0]![i]!.length > 0);
    assert.deepEqual(withAny, [0, 1, 2, 3, 4]);
  });

  it('without the head: vectors if there are any, else the embeddings for words of one piece', async (t) => {
    const model = await tinyModel(await temporaryFolder(t), false);
    const own = await candidatesOf(model, ['impressive superb screen']);
    assert.equal(own.kind, 'embeddings');
    assert.deepEqual(
      own.found[0]!.map((list) => list.length),
      [0, 15, 15],
    );
    const vectors = { words: ['impressive', 'striking'], matrix: Float32Array.of(1, 0, 0, 1), dimensions: 2 };
    const given = await candidatesOf({ ...model, vectors }, ['impressive superb screen']);
    assert.equal(given.kind, 'vectors');
    assert.deepEqual(given.found[0], [['striking'], [], []]);
  });
});
