/** Students: which layers they take, and what is drawn from the seed. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { studentSchema } from '../../plugins/distill/src/recipe/student-schema.ts';
import {
  buildStudent,
  chosenLayers,
  initialize,
  studentFromCheckpoint,
  type Student,
} from '../../plugins/distill/src/student.ts';
import { loadCheckpoint, type Checkpoint } from '../../src/checkpoint/index.ts';
import { classifierParameters, toCheckpoint } from '../../src/nn/index.ts';
import { tinyRoberta, writeTinyClassifier } from '../support/tiny-classifier.ts';

describe('layers of a source', () => {
  const cases: readonly [...Parameters<typeof chosenLayers>, layers: number[]][] = [
    ['spread', 3, 6, [1, 3, 5]],
    ['spread', 6, 12, [1, 3, 5, 7, 9, 11]],
    ['spread', 2, 3, [1, 2]],
    ['spread', 1, 4, [3]],
    ['spread', 4, 4, [0, 1, 2, 3]],
    ['spread', 5, 12, [1, 4, 6, 9, 11]],
    ['first', 3, 6, [0, 1, 2]],
    ['ends', 6, 12, [0, 2, 4, 7, 9, 11]],
    ['ends', 2, 6, [0, 5]],
    ['ends', 1, 6, [5]],
  ];
  for (const [strategy, count, depth, layers] of cases)
    it(`${strategy}, ${count} of ${depth}`, () => assert.deepEqual(chosenLayers(strategy, count, depth), layers));
});

describe('a student', () => {
  let folder: string;
  let teacher: Checkpoint;
  let other: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kdx-student-'));
    other = join(folder, 'other');
    await writeTinyClassifier(join(folder, 'teacher'), { config: { num_hidden_layers: 4 } });
    await writeTinyClassifier(other, { seed: 1, config: { id2label: { 0: 'a', 1: 'b', 2: 'c' } } });
    teacher = await loadCheckpoint(join(folder, 'teacher'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const build = (recipe: object) => buildStudent(studentSchema.parse(recipe), teacher);
  const parametersOf = ({ config }: Student) => classifierParameters(config, config.labels.length);
  /** Parameters at the begin of a training. */
  const begin = (student: Student, seed = 1) =>
    initialize(parametersOf(student), student.weights, student.config, seed);
  /** The checkpoint tensor of a student's parameter. */
  const tensorOf = (student: Student, name: string) => {
    const parameter = parametersOf(student).find((p) => p.name === name)!;
    return toCheckpoint(parameter, begin(student).get(name)!);
  };
  const layer = (index: number) => `bert.encoder.layer.${index}.intermediate.dense.weight`;

  const choices: readonly [object, number[]][] = [
    [{ layers: 2 }, [1, 3]],
    [{ layers: 3, init: { layers: [0, 0, 2] } }, [0, 0, 2]],
  ];
  for (const [recipe, layers] of choices)
    it(`is made of layers ${layers.join(', ')} of the teacher`, async () => {
      const student = await build(recipe);
      assert.deepEqual([student.config.layers, student.config.layerPlan.length], [layers.length, layers.length]);
      layers.forEach((from, to) => assert.deepEqual(tensorOf(student, layer(to)), teacher.weights.get(layer(from))));
      for (const name of ['classifier.weight', 'bert.embeddings.word_embeddings.weight'])
        assert.deepEqual(tensorOf(student, name), teacher.weights.get(name));
      assert.ok(!begin(student).has(layer(layers.length)));
      assert.equal(student.origin, `layers ${layers.join(', ')} of the teacher`);
    });

  it('of the layers of another checkpoint gets a head of its own', async () => {
    const student = await build({ layers: 1, init: { from: 'pretrained', model: other } });
    const { weights } = await loadCheckpoint(other);
    assert.deepEqual(tensorOf(student, layer(0)), weights.get(layer(1)));
    // Drawn for two labels: the other checkpoint's head has three.
    const [drawn, again] = [begin(student, 1), begin(student, 2)].map((values) => values.get('classifier.weight')!);
    assert.deepEqual(drawn!.dims, [16, 2]);
    assert.notDeepEqual(drawn, again);
  });

  it('of another shape is drawn from the seed', async () => {
    const student = await build({ layers: 2, hidden: 8, heads: 4 });
    const [one, same, another] = [begin(student), begin(student), begin(student, 2)];
    const { hiddenSize, heads, intermediateSize } = student.config;
    assert.deepEqual([hiddenSize, heads, intermediateSize], [8, 4, 12]);
    assert.deepEqual(same, one);
    assert.notDeepEqual(another, one);
    const [first, second] = [0, 1].map((i) => one.get(layer(i))!.data);
    assert.notDeepEqual(first, second, 'every parameter has a stream of its own');
    // 300 times 8 draws of N(0, 0.3²): five standard errors.
    const { data } = one.get('bert.embeddings.word_embeddings.weight')!;
    const deviation = Math.sqrt(data.reduce((sum, value) => sum + value ** 2, 0) / data.length);
    assert.ok(Math.abs(deviation - 0.3) < (5 * 0.3) / Math.sqrt(2 * data.length), `deviation ${deviation}`);
  });

  const heads: readonly [title: string, config: Record<string, unknown>, labels: string[], isKept: boolean][] = [
    ['for as many labels keeps its head', {}, ['no', 'yes'], true],
    ['for other labels gets a new head', {}, ['a', 'b', 'c'], false],
    ['for a regression keeps the head of one', { id2label: { 0: 'score' } }, [], true],
    ['for a regression gets a new head', {}, [], false],
  ];
  for (const [title, config, labels, isKept] of heads)
    it(`that is a checkpoint ${title}`, async () => {
      const dir = join(folder, 'start');
      await writeTinyClassifier(dir, { config });
      const checkpoint = await loadCheckpoint(dir);
      const student = studentFromCheckpoint(checkpoint, { labels });
      assert.deepEqual(student.config.labels, labels.length > 0 ? labels : ['score']);
      assert.equal(student.config.problemType, labels.length > 0 ? 'single_label_classification' : 'regression');
      const drawn = initialize(parametersOf(student), new Map(), student.config, 1).get('classifier.weight');
      const given = checkpoint.weights.get('classifier.weight');
      assert.deepEqual(tensorOf(student, layer(1)), checkpoint.weights.get(layer(1)));
      if (isKept) assert.deepEqual(tensorOf(student, 'classifier.weight'), given);
      else assert.deepEqual(begin(student).get('classifier.weight'), drawn);
    });

  const mistakes: readonly [object, RegExp][] = [
    [{ layers: 5 }, /the student has 5 layers, its source .*teacher only 4/],
    [{ layers: 1, init: { layers: [4] } }, /layer 4 is not in .*teacher, which has layers 0 to 3/],
    [{ layers: 2, hidden: 9 }, /2 heads do not divide a hidden size of 9/],
    [
      { layers: 2, hidden: 8, init: { from: 'teacher' } },
      /between different shapes: hiddenSize 8 \(student\) and 16 .*, intermediateSize 12 \(student\) and 24/,
    ],
  ];
  for (const [recipe, message] of mistakes)
    it(`cannot be ${JSON.stringify(recipe)}`, () =>
      assert.rejects(build(recipe), (error: Error & { code: string; suggestions: string[] }) => {
        assert.equal(error.code, 'invalid-student');
        assert.match(error.message, message);
        assert.ok(error.suggestions.length > 0);
        return true;
      }));
});

describe('families', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kdx-student-'));
    await writeTinyClassifier(join(folder, 'bert'), {});
    await writeTinyClassifier(join(folder, 'roberta'), tinyRoberta);
  });
  after(() => rm(folder, { recursive: true, force: true }));
  const load = (name: string) => loadCheckpoint(join(folder, name));

  it("a student is of its teacher's family", async () => {
    const teacher = await load('roberta');
    const { config, weights } = await buildStudent(studentSchema.parse({ layers: 1 }), teacher);
    assert.deepEqual([config.family, config.firstPosition, config.maxPositions], ['roberta', 2, 160]);
    for (const { name } of classifierParameters(config, 2))
      assert.deepEqual(weights.get(name), teacher.weights.get(name.replace('layer.0', 'layer.1')), name);
    const distil = { layers: 1, family: 'distilbert' };
    assert.equal((await buildStudent(studentSchema.parse(distil), await load('bert'))).config.family, 'distilbert');
  });

  it('another one is refused', async () => {
    const teacher = await load('roberta');
    for (const [family, name] of [
      ['bert', 'BERT'],
      ['distilbert', 'DistilBERT'],
      ['xlm-roberta', 'XLM-RoBERTa'],
    ])
      await assert.rejects(buildStudent(studentSchema.parse({ layers: 1, family }), teacher), {
        code: 'invalid-student',
        message: `a student that is a ${name} cannot be made of a RoBERTa: their embeddings and heads differ`,
        suggestions: ['--set student.family=roberta', 'or take --student DIR with a checkpoint'],
      });
    const init = { from: 'pretrained', model: join(folder, 'bert') };
    await assert.rejects(buildStudent(studentSchema.parse({ layers: 1, init }), teacher), {
      code: 'invalid-student',
      message: /bert: a student that is a RoBERTa cannot be made of a BERT/,
      suggestions: ['give a RoBERTa as student.init.model'],
    });
  });
});
