/** The teacher's logits are computed once for what they depend on, and never taken from a damaged or foreign entry. */
import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { teacherLogits } from '../../plugins/distill/src/teacher-logits.ts';
import { openSource, type ClassifierSource } from '../../src/classifier/index.ts';
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
  const entries = join(cacheDir, 'teacher-logits');
  const [model, other] = [join(dir, 'model'), join(dir, 'other')];
  await writeTinyClassifier(model);
  await writeTinyClassifier(other, { seed: 3 });
  const [teacher, second] = [await openSource(model), await openSource(other)];
  const encode = (sentences: string[], maxLength = 16) =>
    encodeExamples(
      teacher.tokenizer,
      sentences.map((text, id) => ({ id, text, label: 0 })),
      maxLength,
    );
  const run = (from: ClassifierSource, examples: EncodedExamples, maxLength = 16) =>
    teacherLogits(from, examples, engine, { maxLength, progress: silentProgress, signal, cacheDir });
  return { entries, teacher, second, encode, run, files: async () => (await readdir(entries)).sort() };
}

describe('the cache of teacher logits', () => {
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
});
