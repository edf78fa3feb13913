/** What the stages of a run do to the models: the teacher stays, what is cached, PTP's head, shared layers, ensembles. */
import assert from 'node:assert/strict';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { join } from 'node:path';
import { distill } from '../../plugins/distill/src/distill.ts';
import { weightsHash } from '../../plugins/distill/src/teacher.ts';
import type { Evaluation } from '../../plugins/distill/src/evaluation.ts';
import type { ExportResult } from '../../plugins/export/src/export.ts';
import { loadCheckpoint, readSafetensors, readSafetensorsHeader } from '../../src/checkpoint/index.ts';
import { summarizeGraph } from '../../src/classifier/index.ts';
import { loadTaskData } from '../../src/data/index.ts';
import type { Engine, Variable } from '../../src/engine/index.ts';
import { sha256File } from '../../src/files/index.ts';
import type { Graph, Tensor } from '../../src/graph/index.ts';
import { classifierParameters, fromCheckpoint, parameterCount } from '../../src/nn/index.ts';
import { readModel } from '../../src/onnx/index.ts';
import { silentProgress } from '../../src/progress/index.ts';
import { runCommand } from '../cli/run-command.ts';
import { writeTinyClassifier } from '../support/tiny-classifier.ts';
import { listening, loggedSteps, prepare, run, tinyData, useScene, writeReviews } from './tiny-run.ts';

const scene = useScene(async ({ path }) => {
  await writeTinyClassifier(path('teacher'));
  await writeTinyClassifier(path('deep'), { config: { num_hidden_layers: 6 } });
});
const teacher = () => scene.path('teacher');

const given = async (name: string, method: string) => ({
  out: scene.path(name),
  method,
  teachers: [teacher()],
  student: 'layers=1',
  data: await tinyData(),
  set: ['train.maxLength=8'] as readonly string[],
});

/** An engine that keeps what its training steps were, and what became of constants in them. */
function observed(engine: Engine) {
  const steps: Graph[] = [];
  const assigned = new Set<string>();
  const constants = new Map<string, Variable>();
  const after = new Map<string, Tensor>();
  const observer: Engine = {
    ...bound(engine),
    async createSession(model, options) {
      const session = await engine.createSession(model, options);
      if (typeof model === 'string' || !options?.name?.startsWith('train step')) return session;
      steps.push(model.graph);
      return {
        ...bound(session),
        run(request) {
          for (const name of Object.keys(request.assign ?? {})) assigned.add(name);
          for (const [name, value] of Object.entries(request.feeds))
            if (name.startsWith('teacher/') && 'id' in value) constants.set(name, value);
          return session.run(request);
        },
      };
    },
    async free(variables) {
      const ids = new Set(variables.map(({ id }) => id));
      const mine = [...constants].filter(([, { id }]) => ids.has(id));
      const values = await engine.read(mine.map(([, variable]) => variable));
      mine.forEach(([name], i) => after.set(name, values[i]!));
      await engine.free(variables);
    },
  };
  return { observer, steps, assigned, after };
}

/** All members of an object, of its class too, as an object of its own. */
function bound<T extends object>(object: T): T {
  const names = [...Object.getOwnPropertyNames(object), ...Object.getOwnPropertyNames(Object.getPrototypeOf(object))];
  return Object.fromEntries(
    names.map((name) => {
      const member = (object as Record<string, unknown>)[name];
      return [name, typeof member === 'function' ? (member as () => unknown).bind(object) : member];
    }),
  ) as T;
}

describe('the teacher is a constant', () => {
  for (const method of ['tinybert', 'mixkd'])
    it(`of ${method}`, async () => {
      const { out, ...rest } = {
        ...(await given(`constant-${method}`, method)),
        set: ['train.epochs=4', 'train.maxLength=8'],
      };
      const prepared = await prepare(rest);
      const file = join(teacher(), 'model.safetensors');
      const [fileBefore, checkpoint] = [await sha256File(file), prepared.teachers[0]!.checkpoint!];
      const hash = weightsHash(checkpoint.weights);
      const { observer, steps, assigned, after } = observed(scene.engine);
      const signal = new AbortController().signal;
      const result = await distill(prepared, {
        engine: observer,
        out,
        resume: false,
        progress: silentProgress,
        signal,
      });

      assert.ok(result.stages[0]!.steps >= 10);
      assert.equal(await sha256File(file), fileBefore);
      assert.equal(weightsHash(checkpoint.weights), hash);

      const read = steps.flatMap(({ inputs }) => inputs.map(({ name }) => name));
      const taught = read.filter((name) => name.startsWith('teacher/parameters/'));
      assert.ok(taught.length > 16 && read.includes('moment1/bert.embeddings.word_embeddings.weight'));
      const slots = /^(moment1|moment2|sum|next)\/teacher\//;
      assert.deepEqual(
        read.filter((name) => slots.test(name)),
        [],
      );
      const written = [...steps.flatMap(({ outputs }) => outputs.map(({ name }) => name)), ...assigned];
      assert.ok(assigned.has('next/bert.embeddings.word_embeddings.weight'));
      assert.deepEqual(
        written.filter((name) => name.includes('teacher/')),
        [],
      );

      const parameters = classifierParameters(checkpoint.config, 2);
      assert.deepEqual([...after.keys()].sort(), [...new Set(taught)].sort());
      for (const [name, value] of after) {
        const parameter = parameters.find((p) => `teacher/parameters/${p.name}` === name)!;
        assert.deepEqual(value.data, fromCheckpoint(parameter, checkpoint.weights.get(parameter.name)!).data, name);
      }
    });
});

describe('what is asked of the teacher once', () => {
  const entries = async () => (await readdir(scene.path('asked'), { recursive: true }).catch(() => [])).length;

  it('nothing of mixkd, whose teacher answers mixtures in each step', async (t) => {
    process.env['KDX_CACHE'] = scene.path('asked');
    t.after(() => (process.env['KDX_CACHE'] = scene.path('cache')));
    const result = await run(scene.engine, await given('asked-mixkd', 'mixkd'));
    assert.deepEqual([await entries(), result.teacherCached], [0, undefined]);
    assert.ok((await loggedSteps(result.out)).some((entry) => Number(entry['mixkd_teacher_mix_loss']) > 0));
  });

  it('the logits of kd, found by another run unless anything that they depend on differs', async (t) => {
    process.env['KDX_CACHE'] = scene.path('asked');
    t.after(() => (process.env['KDX_CACHE'] = scene.path('cache')));
    const [other, cased] = [scene.path('other-teacher'), scene.path('cased-teacher')];
    await writeTinyClassifier(other, { seed: 3 });
    await cp(teacher(), cased, { recursive: true });
    const tokenizer = JSON.parse(await readFile(join(cased, 'tokenizer.json'), 'utf8')) as { normalizer: object };
    tokenizer.normalizer = { ...tokenizer.normalizer, lowercase: false };
    await writeFile(join(cased, 'tokenizer.json'), JSON.stringify(tokenizer));

    const kd = await given('asked-kd', 'kd');
    let runs = 0;
    const asks = async (changes: Partial<typeof kd>) => {
      const set = ['train.epochs=1', ...kd.set, ...(changes.set ?? [])];
      const { teacherCached } = await run(scene.engine, { ...kd, ...changes, set, out: scene.path(`kd-${runs++}`) });
      return !teacherCached;
    };
    assert.equal(await asks({}), true);
    const full = await entries();
    assert.ok(full > 0);
    assert.equal(
      await asks({ student: 'layers=2', set: ['kd.temperature=3', 'train.seed=5', 'label.weight=1'] }),
      false,
    );
    assert.equal(await entries(), full);
    assert.equal(await asks({ teachers: [other] }), true, 'another teacher');
    assert.equal(await asks({ teachers: [cased] }), true, 'another tokenizer');
    assert.equal(await asks({ set: ['train.maxLength=7'] }), true, 'another length');
    assert.equal(await asks({ data: { ...kd.data, train: kd.data.train.slice(1) } }), true, 'other examples');
    // The labels are none of the teacher's business.
    const relabelled = kd.data.train.map((example) => ({ ...example, label: 1 - example.label }));
    assert.equal(await asks({ data: { ...kd.data, train: relabelled } }), false, 'other labels');
  });
});

describe('pretraining with teacher predictions', () => {
  it('ends with the lowest loss on the development examples, and leaves encoder and pooler but not its head', async () => {
    const progress = listening();
    const stop = new AbortController();
    const stopping = {
      ...progress,
      start: (label: string) => label === 'distillation' && stop.abort(),
      message: (line: string) => void progress.lines.push(line),
    };
    // A rate that changes nothing in float32, so that the result is where the last stage began.
    const still = ['distillation.train.lr=1e-30', 'distillation.train.epochs=1'];
    const job = {
      ...(await given('ptp', 'pea-kd')),
      set: ['train.maxLength=8', 'ptp.train.epochs=6', 'ptp.train.lr=0.03', 'train.seed=3', ...still],
    };
    await assert.rejects(run(scene.engine, { ...job, progress: stopping, signal: stop.signal }));
    const counts = /: (\d+) confidently correct, (\d+) unconfidently correct, (\d+) confidently wrong, (\d+) unconf/;
    const found = progress.lines.map((line) => counts.exec(line)).find((match) => match !== null);
    const numbers = found!.slice(1).map(Number);
    assert.equal(
      numbers.reduce((sum, count) => sum + count),
      job.data.train.length,
    );
    assert.ok(numbers.filter((count) => count > 0).length > 1, String(numbers));

    const ptp = (await readSafetensors(join(job.out, 'ptp.safetensors'))).tensors;
    assert.deepEqual(ptp.get('classifier.weight')?.dims, [4, 16]);
    const result = await run(scene.engine, { ...job, resume: true });
    const kept = await loadCheckpoint(job.out);
    assert.deepEqual(kept.weights.get('classifier.weight')?.dims, [2, 16]);
    assert.equal(kept.config.labels.length, 2);
    const start = (await prepare(job)).student.weights;
    for (const [name, value] of kept.weights) {
      if (name.startsWith('classifier.')) continue;
      assert.deepEqual(value, ptp.get(name), name);
      // Token types are all 0 in this task: a key bias has no gradient, and a row that is not used none either.
      if (/dense\.weight|word_embeddings/.test(name)) assert.notDeepEqual(value, start.get(name), name);
    }

    const measured = (await loggedSteps(job.out)).filter((entry) => entry.stage === 'ptp' && 'dev_loss' in entry);
    assert.equal(measured.length, 6);
    const best = measured.reduce((a, b) => (Number(b['dev_loss']) < Number(a['dev_loss']) ? b : a));
    const [stage] = result.stages;
    assert.deepEqual([stage?.bestStep, stage?.metrics['loss']], [best.step, best['dev_loss']]);
    // Otherwise the last epoch, or the accuracy, could have decided.
    assert.ok(best !== measured.at(-1));
    const accurate = measured.reduce((a, b) => (Number(b['dev_accuracy']) > Number(a['dev_accuracy']) ? b : a));
    assert.notEqual(accurate.step, best.step);
  });
});

describe('a student with shared layers', () => {
  it('is saved, measured and exported as what it is', async () => {
    await writeReviews(scene.path('reviews'));
    const data = await loadTaskData({ task: 'sst2', dir: scene.path('reviews') });
    const job = {
      ...(await given('shared', 'pea-kd')),
      data,
      teachers: [scene.path('deep')],
      student: 'layers=3',
      set: ['ptp.train.epochs=1', 'train.epochs=1', 'train.maxLength=8'],
    };
    const result = await run(scene.engine, job);
    const plain = await run(scene.engine, { ...job, out: scene.path('plain'), method: 'kd', set: ['train.epochs=1'] });
    assert.deepEqual([result.student.layers, result.student.depth], [3, 6]);
    assert.equal(result.parameters, plain.parameters);

    const names = (await readSafetensorsHeader(join(job.out, 'model.safetensors'))).entries.map(({ name }) => name);
    const layers = new Set(names.map((name) => /encoder\.layer\.(\d+)\./.exec(name)?.[1]));
    assert.deepEqual([...layers], [undefined, '0', '1', '2']);
    const config = JSON.parse(await readFile(join(job.out, 'config.json'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual(
      [config['num_hidden_layers'], config['kdx_layer_plan'], config['kdx_swapped_depths']],
      [6, [0, 1, 2, 0, 1, 2], [3, 4, 5]],
    );

    const device = ['--device', 'cpu', '--threads', '1'];
    const reviews = ['--data', scene.path('reviews'), '--task', 'sst2'];
    const evaluated = await runCommand(['eval', '--model', job.out, ...reviews, '--max-length', '8', ...device]);
    assert.equal(evaluated.text, '');
    assert.deepEqual((evaluated.result as Evaluation).metrics, result.metrics);

    const exported = scene.path('exported');
    const words = ['export', '--onnx', '--model', job.out, '--out', exported, ...reviews, '--threads', '1'];
    const outcome = await runCommand(words);
    assert.equal(outcome.text, '');
    const { parity } = outcome.result as ExportResult;
    assert.ok(parity.agreement === 1 && parity.maxAbsDifference <= parity.tolerance);
    const summary = summarizeGraph((await readModel(join(exported, 'onnx', 'model.onnx'))).graph);
    assert.deepEqual(summary.duplicates, []);
    assert.equal(summary.parameters, result.parameters);
    const checkpoint = await loadCheckpoint(job.out);
    assert.equal(result.parameters, parameterCount(classifierParameters(checkpoint.config, 2)));
  });
});

describe('several teachers', () => {
  it('are those of an ensemble: two equal ones teach what one does, to the last bit', async () => {
    const kd = await given('one', 'kd');
    const twin = scene.path('twin');
    const different = scene.path('different');
    await cp(teacher(), twin, { recursive: true });
    await writeTinyClassifier(different, { seed: 5 });
    const trained = async (out: string, teachers: string[]) => {
      const result = await run(scene.engine, { ...kd, teachers, out: scene.path(out) });
      const weights = await readFile(join(result.out, 'model.safetensors'));
      return { weights, losses: (await loggedSteps(result.out)).map((entry) => entry['loss']) };
    };
    const one = await trained('one', [teacher()]);
    assert.deepEqual(await trained('twins', [teacher(), twin]), one);
    const mixed = await trained('mixed', [teacher(), different]);
    assert.notDeepEqual(mixed.losses, one.losses);
    assert.ok(mixed.losses.every((loss) => loss === undefined || Number.isFinite(loss)));
  });
});
