/** Students: which layers they take, and what is drawn from the seed. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildStudent, initialize, spreadLayers, studentFromCheckpoint } from '../../plugins/distill/src/student.ts';
import { loadCheckpoint, type Checkpoint } from '../../src/checkpoint/index.ts';
import { classifierParameters, toCheckpoint } from '../../src/nn/index.ts';
import { studentSchema } from '../../src/recipe/index.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';

describe('layers evenly spread, the last one among them', () => {
  const cases: readonly [count: number, depth: number, layers: number[]][] = [
    [3, 6, [1, 3, 5]],
    [6, 12, [1, 3, 5, 7, 9, 11]],
    [2, 3, [1, 2]],
    [1, 4, [3]],
    [4, 4, [0, 1, 2, 3]],
    [5, 12, [1, 4, 6, 9, 11]],
  ];
  for (const [count, depth, layers] of cases)
    it(`${count} of ${depth}`, () => assert.deepEqual(spreadLayers(count, depth), layers));
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

  const build = (recipe: object, seed = 1) => buildStudent(studentSchema.parse(recipe), teacher, seed);
  /** The checkpoint tensor of a student's parameter. */
  const tensorOf = (student: Awaited<ReturnType<typeof build>>, name: string) => {
    const parameter = classifierParameters(student.config, student.config.labels.length).find((p) => p.name === name)!;
    return toCheckpoint(parameter, student.parameters.get(name)!);
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
      assert.ok(!student.parameters.has(layer(layers.length)));
      assert.equal(student.origin, `layers ${layers.join(', ')} of the teacher`);
    });

  it('of the layers of another checkpoint gets a head of its own', async () => {
    const student = await build({ layers: 1, init: { from: 'pretrained', model: other } });
    const { weights } = await loadCheckpoint(other);
    assert.deepEqual(tensorOf(student, layer(0)), weights.get(layer(1)));
    assert.deepEqual(student.parameters.get('classifier.weight')!.dims, [16, 2]);
  });

  it('of another shape is drawn from the seed', async () => {
    const [one, same, another] = [
      await build({ layers: 2, hidden: 8, heads: 4 }),
      await build({ layers: 2, hidden: 8, heads: 4 }),
      await build({ layers: 2, hidden: 8, heads: 4 }, 2),
    ];
    assert.deepEqual([one.config.hiddenSize, one.config.heads, one.config.intermediateSize], [8, 4, 12]);
    assert.deepEqual(same.parameters, one.parameters);
    assert.notDeepEqual(another.parameters, one.parameters);
    const [first, second] = [0, 1].map((i) => one.parameters.get(layer(i))!.data);
    assert.notDeepEqual(first, second, 'every parameter has a stream of its own');
    // 300 times 8 draws of N(0, 0.3²): five standard errors.
    const { data } = one.parameters.get('bert.embeddings.word_embeddings.weight')!;
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
      const student = studentFromCheckpoint(checkpoint, labels, 1);
      assert.deepEqual(student.config.labels, labels.length > 0 ? labels : ['score']);
      assert.equal(student.config.problemType, labels.length > 0 ? 'single_label_classification' : 'regression');
      const drawn = initialize(student.config, new Map(), 1).get('classifier.weight');
      const given = checkpoint.weights.get('classifier.weight');
      assert.deepEqual(tensorOf(student, layer(1)), checkpoint.weights.get(layer(1)));
      if (isKept) assert.deepEqual(tensorOf(student, 'classifier.weight'), given);
      else assert.deepEqual(student.parameters.get('classifier.weight'), drawn);
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
