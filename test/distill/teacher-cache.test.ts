/** What is asked of a teacher is computed once for what it depends on, and never taken from a damaged or foreign entry. */
import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { tapWidth, teacherRows, type CachedTap } from '../../plugins/distill/src/teacher-cache.ts';
import { openTeacher, type TeacherModel } from '../../plugins/distill/src/teacher.ts';
import { encodeExamples, type EncodedExamples } from '../../src/data/index.ts';
import { openEngine, type Engine } from '../../src/engine/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { temporaryFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';

let engine: Engine;
before(async () => {
  engine = await openEngine({ device: 'cpu', threads: 1 });
});
after(() => engine.close());

const signal = new AbortController().signal;
const texts = ['a clever film', 'dull', 'a film that is neither'];

async function setUp(t: TestContext) {
  const dir = await temporaryFolder(t);
  const cacheDir = join(dir, 'cache');
  const entries = join(cacheDir, 'teacher');
  const [model, other] = [join(dir, 'model'), join(dir, 'other')];
  await writeTinyClassifier(model);
  await writeTinyClassifier(other, { seed: 3 });
  const [teacher, second] = [await openTeacher(model, true), await openTeacher(other, true)];
  const encode = (sentences: string[], maxLength = 16) =>
    encodeExamples(
      teacher.tokenizer,
      sentences.map((text, id) => ({ id, text, label: 0 })),
      maxLength,
    );
  const ask = (from: TeacherModel, examples: EncodedExamples, taps: readonly CachedTap[], maxLength = 16) =>
    teacherRows(from, examples, taps, { engine, maxLength, progress: silentProgress, signal, cacheDir });
  const run = async (from: TeacherModel, examples: EncodedExamples, maxLength = 16) => {
    const { rows, cached } = await ask(from, examples, ['logits'], maxLength);
    return { cached, logits: rows.get('logits')! };
  };
  return { entries, teacher, second, encode, ask, run, files: async () => (await readdir(entries)).sort() };
}

describe('the cache of a teacher', () => {
  it('is asked by content', async (t) => {
    const { teacher, second, encode, run, files } = await setUp(t);
    const made = await run(teacher, encode(texts));
    assert.deepEqual([made.cached, made.logits.dims], [false, [3, 2]]);
    const found = await run(teacher, encode(texts));
    assert.deepEqual([found.cached, found.logits], [true, made.logits]);

    const others: Readonly<Record<string, ReturnType<typeof run>>> = {
      'another teacher': run(second, encode(texts)),
      'other sentences': run(teacher, encode(['dull', ...texts])),
      'another order': run(teacher, encode([...texts].reverse())),
      'sentences cut shorter': run(teacher, encode(texts, 4), 4),
      'another maximum length': run(teacher, encode(texts), 17),
      'the same tokens, split otherwise': run(teacher, {
        ...encode(texts),
        offsets: Int32Array.from(encode(texts).offsets, (at, i) => (i === 1 ? at + 1 : at)),
      }),
    };
    for (const [title, result] of Object.entries(others)) assert.equal((await result).cached, false, title);
    assert.equal((await files()).length, 1 + Object.keys(others).length);
  });

  const damages: Readonly<Record<string, (content: Buffer) => Buffer>> = {
    'cut off': (content) => content.subarray(0, -1),
    emptied: () => Buffer.alloc(0),
    'made of something else': () => Buffer.from('not tensors at all'),
  };
  for (const [title, damage] of Object.entries(damages))
    it(`makes an entry again that was ${title}`, async (t) => {
      const { entries, teacher, encode, run, files } = await setUp(t);
      const { logits } = await run(teacher, encode(texts));
      const path = join(entries, (await files())[0]!);
      const whole = await readFile(path);
      await writeFile(path, damage(whole));
      assert.deepEqual(await run(teacher, encode(texts)), { logits, cached: false });
      assert.deepEqual(await readFile(path), whole);
    });

  it('does not take an entry under a name that is not its own', async (t) => {
    const { entries, teacher, second, encode, run, files } = await setUp(t);
    await run(teacher, encode(texts));
    const [first] = await files();
    const { logits } = await run(second, encode(texts));
    const mine = (await files()).find((name) => name !== first)!;
    await copyFile(join(entries, first!), join(entries, mine));
    assert.deepEqual(await run(second, encode(texts)), { logits, cached: false });
  });

  it('has an entry for each thing that is asked, whatever it is asked with', async (t) => {
    const { teacher, encode, ask, files } = await setUp(t);
    const taps = ['first-token-0', 'logits', 'first-token-2'] as const;
    const examples = encode(texts);
    const together = await ask(teacher, examples, taps);
    assert.deepEqual([together.cached, [...together.rows.keys()]], [false, [...taps]]);
    assert.equal((await files()).length, 3);
    for (const tap of taps) {
      const { dims, data } = together.rows.get(tap)!;
      assert.deepEqual(dims, [3, tapWidth(tap, teacher)]);
      assert.ok(data.every(Number.isFinite) && new Set(data).size > 3);
      assert.deepEqual(await ask(teacher, examples, [tap]), {
        rows: new Map([[tap, { dtype: 'float32', dims, data }]]),
        cached: true,
      });
    }
    const more = await ask(teacher, examples, ['first-token-1', 'logits']);
    assert.deepEqual([more.cached, more.rows.get('logits')], [false, together.rows.get('logits')]);
    assert.equal((await files()).length, 4);
  });

  it('has the logits of the classifier, and first tokens that go with them', async (t) => {
    const { teacher, encode, ask } = await setUp(t);
    const { rows } = await ask(teacher, encode(texts), ['logits', 'first-token-2']);
    const alone = await ask(teacher, encode([...texts, 'one more']), ['logits']);
    const [logits, last] = [rows.get('logits')!, rows.get('first-token-2')!];
    logits.data.forEach((value, i) => assert.ok(Math.abs(value - alone.rows.get('logits')!.data[i]!) < 1e-5));
    // The head by hand: tanh of the pooler, then the classifier; checkpoints have [out, in].
    const weight = (name: string) => teacher.checkpoint!.weights.get(name)!.data;
    const layer = (name: string, x: number[], size: number) =>
      Array.from({ length: size }, (_, o) =>
        x.reduce(
          (sum, value, i) => sum + value * weight(`${name}.weight`)[o * x.length + i]!,
          weight(`${name}.bias`)[o]!,
        ),
      );
    for (const [row] of texts.entries()) {
      const hidden = Array.from(last.data.subarray(16 * row, 16 * (row + 1)));
      const pooled = layer('bert.pooler.dense', hidden, 16).map(Math.tanh);
      layer('classifier', pooled, 2).forEach((value, c) =>
        assert.ok(Math.abs(value - logits.data[2 * row + c]!) < 1e-4),
      );
    }
  });

  it('is made by no more than what is missing', async (t) => {
    const { teacher, encode, ask, files } = await setUp(t);
    await ask(teacher, encode(texts), ['logits']);
    assert.deepEqual((await ask(teacher, encode(texts), [])).rows, new Map());
    const again = { ...teacher, classifier: undefined, checkpoint: undefined };
    assert.equal((await ask(again, encode(texts), ['logits'])).cached, true);
    await assert.rejects(
      ask(again, encode(texts), ['first-token-1']),
      /^Error: internal: .*model has no first-token-1$/,
    );
    assert.equal((await files()).length, 1);
  });
});
