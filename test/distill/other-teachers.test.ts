/** Teachers with another tokenizer or of another model type: what they say of a text is learnt all the same. */
import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { copyTokenizerFiles, loadCheckpoint, saveCheckpoint } from '../../src/checkpoint/index.ts';
import { checkpointModel } from '../../src/classifier/index.ts';
import { loadTokenizer } from '../../src/data/index.ts';
import type { Tensor } from '../../src/graph/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import type { CompareReport } from '../../plugins/distill/src/compare/index.ts';
import { runCommand } from '../cli/run-command.ts';
import { tinyRoberta, tokenizerFolder, writeTinyClassifier } from '../support/tiny-classifier.ts';
import { listening, loggedSteps, prepare, run, tinyData, useScene, writeReviews } from './tiny-run.ts';

/** One to one on the ids of the tokenizer of the fixtures. */
const tokens = 275;
const newId = (id: number) => (id < tokens ? (id * 7 + 3) % tokens : id);

interface TokenizerJson {
  added_tokens: { id: number }[];
  post_processor: { special_tokens: Record<string, { ids: number[] }> };
  model: { vocab: Record<string, number> };
}

/** The same function of texts as another classifier, by other ids. */
async function writeRenumbered(from: string, to: string): Promise<void> {
  const { config, weights } = await loadCheckpoint(from);
  const name = 'bert.embeddings.word_embeddings.weight';
  const table = weights.get(name) as Tensor<'float32'>;
  const [rows, width] = table.dims as [number, number];
  const data = new Float32Array(table.data.length);
  for (let id = 0; id < rows; id++) data.set(table.data.subarray(id * width, (id + 1) * width), newId(id) * width);
  await saveCheckpoint(to, {
    config: { ...config, padTokenId: newId(config.padTokenId) },
    weights: new Map([...weights, [name, { ...table, data }]]),
    tokenizerFrom: from,
  });
  const path = join(to, 'tokenizer.json');
  const json = JSON.parse(await readFile(path, 'utf8')) as TokenizerJson;
  for (const token of json.added_tokens) token.id = newId(token.id);
  for (const special of Object.values(json.post_processor.special_tokens)) special.ids = special.ids.map(newId);
  for (const [token, id] of Object.entries(json.model.vocab)) json.model.vocab[token] = newId(id);
  await writeFile(path, JSON.stringify(json));
}

const scene = useScene(async ({ path }) => {
  await writeTinyClassifier(path('teacher'), { config: { num_hidden_layers: 4 } });
  await writeRenumbered(path('teacher'), path('renumbered'));
  await writeTinyClassifier(path('student'), { seed: 3 });
  await writeTinyClassifier(path('roberta'), tinyRoberta);
});
const studentModel = () => scene.path('student');
/** Flags for reviews that were written there. */
const onReviews = (name: string) => [
  ...['--data', scene.path(name), '--task', 'sst2', '--max-length', '16'],
  ...['--device', 'cpu', '--threads', '1'],
];

describe('a teacher with another tokenizer', () => {
  it('is one', async () => {
    const [one, other] = [await loadTokenizer(scene.path('teacher')), await loadTokenizer(scene.path('renumbered'))];
    assert.equal(one.tokens.length, tokens);
    assert.notEqual(one.hash, other.hash);
    const text = 'the battery is good';
    assert.deepEqual(other.encode(text, undefined, 16).ids, one.encode(text, undefined, 16).ids.map(newId));
  });

  // Logits; first tokens too; labels for training and development examples as well.
  for (const method of ['kd', 'pkd', 'pea-kd-ptp'])
    it(`teaches what the same one with the student's tokenizer does, to the last bit: ${method}`, async () => {
      const data = await tinyData();
      const trained = async (teacher: string) => {
        const out = scene.path(`${method} of ${teacher}`);
        const progress = listening();
        await run(scene.engine, {
          out,
          method,
          teachers: [scene.path(teacher)],
          studentModel: studentModel(),
          data,
          progress,
        });
        const weights = await readFile(join(out, 'model.safetensors'));
        return {
          weights,
          steps: await loggedSteps(out),
          notes: progress.lines.filter((line) => /tokenizer/.test(line)),
        };
      };
      const [one, other] = [await trained('teacher'), await trained('renumbered')];
      assert.deepEqual(other.weights, one.weights);
      assert.deepEqual(other.steps, one.steps);
      const note = `note: ${scene.path('renumbered')} has another tokenizer than the student, and reads the texts with it`;
      assert.deepEqual([one.notes, other.notes], [[], [note]]);
      const files = ['tokenizer.json', 'tokenizer_config.json'];
      for (const file of files)
        assert.deepEqual(
          await readFile(scene.path(`${method} of renumbered`, file)),
          await readFile(join(tokenizerFolder, file)),
        );
    });

  it('may be one of several, of another family', async () => {
    const teachers = [scene.path('teacher'), scene.path('roberta')];
    const out = scene.path('ensemble');
    const { metrics } = await run(scene.engine, { out, method: 'kd', teachers, data: await tinyData() });
    assert.ok(Number.isFinite(metrics['accuracy']));
    assert.equal((await loadCheckpoint(out)).config.family, undefined);
  });

  it('is another run: its tokenizer changed, a run does not go on', async () => {
    const changing = scene.path('changing');
    await cp(scene.path('renumbered'), changing, { recursive: true });
    const given = {
      out: scene.path('changed'),
      method: 'kd',
      teachers: [changing],
      studentModel: studentModel(),
      data: await tinyData(),
    };
    await run(scene.engine, given);
    const path = join(changing, 'tokenizer.json');
    await writeFile(path, (await readFile(path, 'utf8')).replace('"lowercase":true', '"lowercase":false'));
    await assert.rejects(run(scene.engine, { ...given, resume: true }), { code: 'run-mismatch' });
  });

  it('cannot be compared token by token', async () => {
    const data = await tinyData();
    const problem = (method: string) =>
      prepare({ method, teachers: [scene.path('renumbered')], studentModel: studentModel(), data }).then(
        () => 'none',
        (error: Error) => error.message,
      );
    for (const [method, stage, loss] of [
      ['tinybert', 'intermediate', 'transformer'],
      ['mixkd', 'distillation', 'mixkd'],
    ] as const)
      assert.equal(
        await problem(method),
        `stage ${stage}: ${loss}: it compares models token by token, and ${scene.path('renumbered')} has another ` +
          'tokenizer than the student: use kd',
      );
    assert.equal(await problem('kd'), 'none');
  });

  it('is said of in the plan, and compared with in kdx compare', async () => {
    await writeReviews(scene.path('data'));
    const data = onReviews('data');
    const models = ['--teacher', scene.path('renumbered'), '--student', studentModel()];
    const plan = await runCommand(['distill', ...models, ...data, '--dry-run', '--out', scene.path('nothing')]);
    assert.match(JSON.stringify(plan.result), /"ownTokens":true/);
    const training = ['--methods', 'kd', '--seeds', '1', '--epochs', '1'];
    const reports = [];
    for (const teacher of ['teacher', 'renumbered']) {
      const words = [
        '--teacher',
        scene.path(teacher),
        '--student',
        studentModel(),
        '--out',
        scene.path(`c-${teacher}`),
      ];
      const { result } = await runCommand(['compare', ...words, ...data, ...training]);
      const { teacher: taught, fractions } = result as CompareReport;
      const rows = fractions.flatMap((fraction) => fraction.rows);
      reports.push([taught.metrics, ...rows.map((row) => [row.result!.metrics, row.result!.fidelity])]);
    }
    assert.equal(reports[0]!.length, 3);
    assert.deepEqual(reports[1], reports[0]);
  });
});

describe('an ONNX teacher of a model type that kdx does not build', () => {
  /** model.onnx with a config.json of another type, whose sizes are not those of the graph. */
  async function writeForeign(dir: string): Promise<string> {
    const model = checkpointModel(await loadCheckpoint(scene.path('teacher')));
    await writeModel(join(dir, 'model.onnx'), model);
    await copyTokenizerFiles(scene.path('teacher'), dir);
    const config = { model_type: 'mobilebert', vocab_size: 300, max_position_embeddings: 160, hidden_act: 'silu' };
    await writeFile(
      join(dir, 'config.json'),
      JSON.stringify({ ...config, id2label: { 0: 'negative', 1: 'positive' } }),
    );
    return join(dir, 'model.onnx');
  }

  it('teaches its logits, and nothing else', async () => {
    const onnx = await writeForeign(scene.path('foreign'));
    const data = await tinyData();
    const logged = async (name: string, teacher: string) => {
      const out = scene.path(name);
      await run(scene.engine, { out, method: 'kd', teachers: [teacher], studentModel: studentModel(), data });
      return (await loggedSteps(out)).flatMap(({ loss }) => (typeof loss === 'number' ? [loss] : []));
    };
    const [ours, foreign] = [await logged('by-ours', scene.path('teacher')), await logged('by-foreign', onnx)];
    assert.ok(ours.length >= 6);
    ours.forEach((loss, i) => assert.ok(Math.abs(loss - foreign[i]!) < 1e-6, `${loss}, ${foreign[i]}`));
    for (const [method, says] of [
      ['pkd', /is an ONNX file whose inner values cannot be read/],
      ['mixkd', /is an ONNX file that reads token ids and has no entry for embeddings/],
    ] as const)
      await assert.rejects(prepare({ method, teachers: [onnx], studentModel: studentModel(), data }), {
        message: says,
      });
    await assert.rejects(prepare({ method: 'kd', teachers: [onnx], data }), { code: 'invalid-student' });
  });

  it('is compared with, without figures that are not known', async () => {
    const onnx = await writeForeign(scene.path('compared'));
    await writeReviews(scene.path('some'));
    const data = onReviews('some');
    const training = ['--methods', 'kd', '--seeds', '1', '--epochs', '1', '--out', scene.path('c-foreign')];
    const { result } = await runCommand([
      'compare',
      '--teacher',
      onnx,
      '--student',
      studentModel(),
      ...data,
      ...training,
    ]);
    const { teacher, fractions } = result as CompareReport;
    assert.deepEqual([teacher.parameters, teacher.flops], [null, null]);
    assert.ok(fractions[0]!.rows.every((row) => row.result!.fidelity.divergence !== null));
    const markdown = await readFile(scene.path('c-foreign', 'report.md'), 'utf8');
    assert.match(markdown, /\| teacher +\| +- \| +- \| +- \|/);
    assert.match(await readFile(scene.path('c-foreign', 'index.html'), 'utf8'), /an ONNX file/);
  });
});
