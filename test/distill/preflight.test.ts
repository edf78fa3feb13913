/** What a distillation is refused for before anything is trained. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { bertTensors, loadCheckpoint, parseConfig, writeSafetensors } from '../../src/checkpoint/index.ts';
import { checkpointModel } from '../../src/classifier/index.ts';
import { elementCount, tensor } from '../../src/graph/index.ts';
import { writeModel as writeOnnx } from '../../src/onnx/index.ts';
import {
  assertRefused,
  goodData,
  goodInput,
  modelJson,
  runIn,
  tableOfBadInputs,
  usePlace,
  writeModel,
  type BadInput,
} from '../cli/bad-input.ts';

const common = ['--out', '@out', '--device', 'cpu', '--max-length', '16'];
const withData = ['distill', '--teacher', '@model', ...goodData, ...common];
const withCorpus = ['distill', '--teacher', '@model', '--corpus', '@text.txt', ...common];
const asMethod = (method: string, ...words: string[]) => [...withData, '--method', method, ...words];
const two = ['--student', 'layers=2'];

type Given = NonNullable<BadInput['given']>;
const all =
  (...steps: Given[]): Given =>
  async (folder) => {
    for (const step of steps) await step(folder);
  };
const model =
  (name: string, json: Readonly<Record<string, unknown>> = {}): Given =>
  (folder) =>
    writeModel(join(folder, name), json);
const text: Given = (folder) => writeFile(join(folder, 'text.txt'), 'the screen is superb\n\nthe app is useless\n');
const recipe =
  (content: object): Given =>
  (folder) =>
    writeFile(join(folder, 'recipe.json'), JSON.stringify(content));

/** The teacher as an ONNX file with what belongs beside it, and a checkpoint for the student. */
const onnx: Given = all(goodInput, model('small', { num_hidden_layers: 1 }), async (folder) => {
  await mkdir(join(folder, 'model/onnx'));
  await writeOnnx(join(folder, 'model/onnx/model.onnx'), checkpointModel(await loadCheckpoint(join(folder, 'model'))));
  await rm(join(folder, 'model/model.safetensors'));
});

/** Another vocabulary of as many tokens or fewer. */
const vocabulary =
  (name: string, words: readonly string[]): Given =>
  async (folder) => {
    await rm(join(folder, name, 'tokenizer.json'));
    await writeFile(join(folder, name, 'tokenizer_config.json'), '{}');
    await writeFile(join(folder, name, 'vocab.txt'), `${words.join('\n')}\n`);
  };

/** A teacher with three labels of its own, and files of numbers. */
const regression: Given = all(model('model', { id2label: { 0: 'score' } }), async (folder) => {
  for (const name of ['train', 'dev'])
    await writeFile(join(folder, `${name}.csv`), 'text,label\ngood,4.5\nbad,1\nfair,2.5\n');
});

const impossible = (name: string, given: Given, words: readonly string[], ...says: string[]): BadInput => ({
  name,
  given,
  words,
  code: 'impossible-distillation',
  says,
});
const stage = 'stage distillation:';

const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];

describe('recipes', () => {
  tableOfBadInputs([
    {
      name: 'unknown keys, where everything else is right',
      given: goodInput,
      words: asMethod('kd', ...two, '--set', 'distillation.kepp=last', '--set', 'temprature=3'),
      code: 'invalid-recipe',
      says: [
        'the recipe has 2 errors',
        'stages.0.kepp: unknown key, did you mean stages.0.keep?',
        'temprature: unknown key, did you mean stages.*.losses.*.temperature?',
        'plugins/distill/README.md',
      ],
    },
    {
      name: 'a pretraining on the teacher alone, whose head is for four labels',
      given: all(goodInput, recipe({ stages: [{ name: 'only', ptp: {}, losses: [{ method: 'label' }] }] })),
      words: [...withData, ...two, '--recipe', '@recipe.json'],
      code: 'invalid-recipe',
      says: ['stages.0.ptp: the last stage has to train for the labels of the task'],
    },
  ]);
});

describe('layers that cannot be compared', () => {
  const deep = all(goodInput, model('model', { num_hidden_layers: 3 }));
  tableOfBadInputs([
    impossible(
      'none that Patient KD would skip to',
      deep,
      asMethod('pkd', ...two),
      `${stage} patience: map=skip pairs no layers of a student of 2 and a teacher of 3 layers`,
      '[[1,2]]',
    ),
    impossible(
      'pairs of layers that are not there',
      deep,
      asMethod('pkd', ...two, '--set', 'map=[[1,1],[3,2]]'),
      `${stage} patience: map pairs layers [3, 2], counted from 1, of a student of 2 and a teacher of 3 layers`,
    ),
    impossible(
      'no multiple, for TinyBERT',
      deep,
      asMethod('tinybert', ...two),
      'stage intermediate: transformer: map=uniform needs a multiple',
      '[2,3]',
    ),
    impossible(
      'a teacher layer for each, of which one is missing',
      deep,
      asMethod('tinybert', ...two, '--set', 'map=[1]'),
      "map must give the teacher's layer of each of the student's 2 layers, found 1",
    ),
    impossible(
      'other heads, for attention scores',
      goodInput,
      asMethod('tinybert', '--student', 'layers=1,heads=4'),
      'transformer: attention scores are compared head by head, but the student has 4 heads and the teacher 2',
      'attention=0',
    ),
    impossible(
      'other widths, for Patient KD',
      goodInput,
      asMethod('pkd', '--student', 'layers=2,hidden=4'),
      `${stage} patience: hidden states are compared as they are, but the student has width 4 and the teacher 8`,
      'hidden=8',
    ),
    impossible(
      'nothing to match in one layer, and nothing else to learn',
      goodInput,
      asMethod('pkd', '--student', 'layers=1', '--set', 'label.weight=0', '--set', 'kd.weight=0'),
      `${stage} patience: these models have no layers to match, and the stage has no other loss`,
    ),
  ]);
});

describe('teachers that lack something', () => {
  const small = ['--student', '@small'];
  const inner = '@model is an ONNX file whose inner values cannot be read: give the checkpoint folder';
  tableOfBadInputs([
    impossible('layers in an ONNX file', onnx, asMethod('tinybert', ...small), `transformer: ${inner}`),
    impossible(
      'hidden states in an ONNX file',
      all(onnx, model('small', { num_hidden_layers: 2 })),
      asMethod('pkd', ...small, '--set', 'map=[[1,1]]'),
      `patience: ${inner}`,
    ),
    impossible(
      'an entry for embeddings in an ONNX file',
      onnx,
      asMethod('mixkd', ...small),
      'mixkd: @model is an ONNX file that reads token ids and has no entry for embeddings: give the checkpoint folder',
    ),
    {
      name: 'layers to start from in an ONNX file',
      given: onnx,
      words: asMethod('kd', ...two),
      code: 'invalid-student',
      says: ['@model is an ONNX file: its layers cannot be copied into a student', '--student DIR'],
    },
    impossible(
      'a masked-language-model head',
      all(goodInput, text),
      [...withCorpus, '--method', 'distilbert', '--student', 'layers=1'],
      'stage pretraining: distilbert: @model has no masked-language-model head (cls.predictions.*)',
    ),
    {
      name: 'a classification head',
      given: all(goodInput, async (folder) => {
        const json = parseConfig(modelJson, 'config.json');
        const encoder = bertTensors(json).filter(({ name }) => !name.startsWith('classifier.'));
        const values = encoder.map(
          ({ name, dims }) => [name, tensor('float32', dims, new Float32Array(elementCount(dims)))] as const,
        );
        await writeSafetensors(join(folder, 'model/model.safetensors'), new Map(values));
      }),
      words: asMethod('kd', ...two),
      code: 'no-classifier-head',
      says: ['@model is a pretrained encoder', 'kdx finetune --model @model'],
    },
    impossible(
      'one inner life, as there are two of them',
      all(goodInput, model('second')),
      ['distill', '--teacher', '@second', ...asMethod('pkd', ...two).slice(1)],
      `${stage} patience: it reads inner values, which 2 teachers do not have in common: give one`,
    ),
    impossible(
      'the same tokens',
      all(goodInput, model('small'), vocabulary('small', [...special, 'fine', 'bad'])),
      asMethod('tinybert', '--student', '@small'),
      'stage intermediate: transformer: it compares models token by token, and @model has another tokenizer than the student: use kd',
    ),
    impossible(
      'a [MASK] in the vocabulary',
      all(goodInput, text, vocabulary('model', ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'fine', 'bad'])),
      [...withCorpus, '--method', 'pretrained-kd', ...goodData, '--student', 'layers=1'],
      'stage pretraining: mlm: the tokenizer has no [MASK]',
    ),
  ]);
});

describe('models and data that do not fit', () => {
  tableOfBadInputs([
    {
      name: 'sequences longer than the models',
      given: goodInput,
      words: asMethod('kd', ...two, '--set', 'train.maxLength=64'),
      code: 'sequence-too-long',
      says: ['sequences of up to 64 tokens do not fit a model with 32 positions', '--max-length 32'],
    },
    {
      name: 'labels in another order',
      given: all(goodInput, model('model', { id2label: { 0: 'positive', 1: 'negative' } })),
      words: asMethod('kd', ...two),
      code: 'label-mismatch',
      says: ['positive, negative', 'another order'],
    },
    {
      name: 'labels of the second teacher',
      given: all(goodInput, model('second', { id2label: { 0: 'a', 1: 'b', 2: 'c' } })),
      words: [...asMethod('kd', ...two), '--teacher', '@second'],
      code: 'label-mismatch',
      says: ['@second has 3 labels (a, b, c), sst2 has 2'],
    },
    impossible(
      'PTP and a regression',
      regression,
      ['distill', '--teacher', '@model', '--train', '@train.csv', '--dev', '@dev.csv', ...common, ...two].concat([
        '--method',
        'pea-kd-ptp',
      ]),
      'stage ptp: PTP needs classes, custom is a regression: leave it out',
    ),
    impossible(
      'published thresholds of a task that has none',
      all(goodInput, async (folder) => {
        for (const name of ['train', 'dev'])
          await writeFile(join(folder, `${name}.csv`), 'text,label\ngood,positive\nbad,negative\n');
      }),
      ['distill', '--teacher', '@model', '--train', '@train.csv', '--dev', '@dev.csv', ...common, ...two].concat([
        ...['--method', 'pea-kd-ptp', '--set', 'ptp.ptp.thresholds=published'],
      ]),
      'stage ptp: thresholds: published exist for',
    ),
    impossible(
      'no corpus',
      goodInput,
      asMethod('tinybert-general', ...two),
      'stage general: it needs plain text: --corpus FILE',
    ),
    impossible(
      'no examples',
      all(goodInput, text),
      [...withCorpus, '--method', 'kd', ...two],
      `${stage} it needs labelled examples: --data DIR --task NAME`,
    ),
    {
      name: 'a corpus that is not there',
      given: goodInput,
      words: asMethod('tinybert-general', ...two, '--corpus', '@none.txt'),
      code: 'file-not-found',
      says: ['@none.txt does not exist'],
      suggests: false,
    },
    {
      name: 'a corpus without text',
      given: all(goodInput, (folder) => writeFile(join(folder, 'none.txt'), ' \n\n')),
      words: asMethod('tinybert-general', ...two, '--corpus', '@none.txt'),
      code: 'empty-corpus',
      says: ['@none.txt has no text'],
    },
    {
      name: 'no folder for the result',
      given: goodInput,
      words: ['distill', '--teacher', '@model', ...goodData, ...two, '--max-length', '16', '--device', 'cpu'],
      code: 'invalid-usage',
      says: ['--out DIR'],
    },
  ]);
});

describe('losses that do not belong to a stage', () => {
  const losses = (data: 'task' | 'corpus', ...methods: string[]) =>
    recipe({
      stages: [
        { name: 'pretraining', data, keep: 'last', losses: methods.map((method) => ({ method })) },
        { name: 'distillation', losses: [{ method: 'label' }] },
      ],
    });
  const words = [...withData, '--corpus', '@text.txt', '--student', 'layers=1', '--recipe', '@recipe.json'];
  const none = 'it reads labels or predictions of a task, a corpus has none';
  tableOfBadInputs([
    ...['label', 'kd', 'prediction', 'mixkd'].map((method) =>
      impossible(
        `${method} on a corpus`,
        all(goodInput, text, losses('corpus', method)),
        words,
        `stage pretraining: ${method}: ${none}`,
      ),
    ),
    impossible(
      'two that hide tokens',
      all(goodInput, text, losses('corpus', 'mlm', 'distilbert')),
      [...words, '--set', 'alphaCe=0'],
      'stage pretraining: mlm and distilbert would each hide other tokens of the same batch: leave one out',
    ),
    ...['kd', 'prediction', 'mixkd'].map((method) =>
      impossible(
        `${method} while the student has the head of PTP`,
        goodInput,
        asMethod('pea-kd-ptp', ...two, '--set', `ptp.losses=[{"method":"${method}"}]`),
        `stage ptp: ${method}: the student predicts the four labels of PTP here`,
      ),
    ),
  ]);
});

describe('several mistakes', () => {
  tableOfBadInputs([
    impossible(
      'of the recipe, the models and the data are told at once',
      all(
        goodInput,
        model('model', { num_hidden_layers: 3, id2label: { 0: 'positive', 1: 'negative' } }),
        recipe({ method: 'tinybert', stages: { intermediate: { kep: 'best' }, third: {} }, student: { heads: 4 } }),
      ),
      [...withData, ...two, '--recipe', '@recipe.json', '--set', 'train.maxLength=40', '--set', 'temprature=2'],
      '7 things would not work',
      'stages: there is no third among intermediate, prediction',
      'stages.0.kep: unknown key, did you mean stages.0.keep?',
      'temprature: unknown key',
      'sequences of up to 40 tokens do not fit a model with 32 positions',
      'the labels of @model are positive, negative',
      'stage intermediate: transformer: map=uniform',
      'stage intermediate: transformer: attention scores are compared head by head',
      '--dry-run',
    ),
    impossible(
      'of the recipe, beside a file that is not there',
      goodInput,
      ['distill', '--teacher', '@none', ...two, ...common, '--set', 'temprature=2'],
      '2 things would not work',
      'temprature: unknown key',
      '@none does not exist',
    ),
  ]);

  const place = usePlace();
  it('are found by --dry-run as well', async () => {
    const folder = await place.folder();
    await goodInput(folder);
    const words = asMethod('tinybert', '--student', 'layers=1,heads=4', '--set', 'train.maxLength=64', '--dry-run');
    const refused = { code: 'impossible-distillation', says: ['2 things', 'head by head', '64 tokens'] };
    assertRefused(await runIn(folder, words), refused, folder);
  });
});
