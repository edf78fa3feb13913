/** Runs that cannot be: flags, recipes, students, teachers that do not fit, folders that are taken, other resumptions. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from 'node:test';
import type { Tensor } from '../../src/graph/index.ts';
import {
  finetuning,
  goodData,
  goodInput,
  runIn,
  tableOfBadInputs,
  writeModel,
  writeTask,
  type BadInput,
} from './bad-input.ts';

const distill = [
  'distill',
  '--teacher',
  '@model',
  ...goodData,
  '--out',
  '@out',
  '--device',
  'cpu',
  '--max-length',
  '16',
];
const shape = (student: string) => [...distill, '--student', student];

describe('command lines', () => {
  const usage = (name: string, words: readonly string[], ...says: BadInput['says']): BadInput => ({
    name,
    words,
    code: 'invalid-usage',
    says,
  });
  tableOfBadInputs([
    usage('an unknown flag', [...finetuning, '--epoch', '3'], 'unknown flag --epoch', '--epochs instead of --epoch'),
    usage('a flag without its value', ['finetune', '--out'], '--out', 'kdx finetune --help'),
    usage('a required flag is missing', ['finetune', '--model', '@model'], 'missing required flag --out'),
    usage(
      'an unknown device',
      ['finetune', '--out', '@out', '--device', 'gpu'],
      "--device: expected one of auto, cpu, cuda, webgpu, or of several GPUs cuda:1, found 'gpu'",
    ),
    usage('a number that is none', [...finetuning, '--lr', 'fast'], "--lr: expected a number, found 'fast'"),
    usage('a number out of range', ['finetune', '--out', '@out', '--epochs', '0'], '--epochs', '1'),
    usage('a fraction of an example', ['finetune', '--out', '@out', '--batch', '2.5'], '--batch', 'integer'),
    usage('a model and a configuration', [...finetuning, '--config', '@c.json'], '--config', '--model'),
    usage('words that belong to no flag', [...finetuning, 'more'], 'more'),
    {
      ...usage(
        'neither a model nor a configuration',
        ['finetune', ...goodData, '--out', '@out'],
        '--model DIR',
        '--config FILE',
      ),
      given: goodInput,
    },
    { ...usage('no student', distill, '--student layers=N', '--student DIR'), given: goodInput },
  ]);
});

describe('recipes', () => {
  const recipe = (content: string) => (folder: string) => writeFile(join(folder, 'recipe.json'), content);
  const withRecipe = [...shape('layers=1'), '--recipe', '@recipe.json'];
  tableOfBadInputs([
    {
      name: 'unknown keys and wrong values, all at once',
      given: recipe(
        '{"stages": {"distillation": {"losses": {"kd": {"temperature": 0}}, "ptpp": {}}, "second": {}}, ' +
          '"train": {"epoch": 3, "warmup": "long"}, "lr": 1}',
      ),
      words: [...withRecipe, '--set', 'temprature=4', '--set', 'train.batch=0', '--set', 'alpha'],
      code: 'invalid-recipe',
      says: [
        '@recipe.json',
        'has 9 errors',
        'stages: there is no second among distillation',
        "--set: 'alpha' is not of the form key=value",
        'stages.0.losses.1.temperature: expected more than 0, found 0',
        'stages.0.ptpp: unknown key, did you mean stages.0.ptp?',
        'train.epoch: unknown key, did you mean train.epochs?',
        'train.warmup: expected number, found "long"',
        'train.batch: expected more than 0, found 0',
        'lr: unknown key, did you mean train.lr?',
        'temprature: unknown key, did you mean stages.*.losses.*.temperature?',
      ],
    },
    {
      name: 'an unknown method',
      words: [...shape('layers=1'), '--method', 'pkd2'],
      code: 'invalid-recipe',
      says: ['method: no recipe is called "pkd2", did you mean pkd?'],
    },
    {
      name: 'a recipe that is not there',
      words: withRecipe,
      code: 'file-not-found',
      says: ['@recipe.json does not exist'],
      suggests: false,
    },
    {
      name: 'a recipe that is no JSON',
      given: recipe('alpha: 0.5'),
      words: withRecipe,
      code: 'invalid-json',
      says: ['@recipe.json is not JSON'],
      suggests: false,
    },
    {
      name: 'a recipe that is no object',
      given: recipe('[]'),
      words: withRecipe,
      code: 'invalid-recipe',
      says: ['@recipe.json does not hold a JSON object'],
      suggests: false,
    },
    ...['=1', 'temperature=', 'alpha', 'train..lr=1'].map((set): BadInput => ({
      name: `--set ${set}`,
      given: goodInput,
      words: [...shape('layers=1'), '--set', set],
      code: 'invalid-recipe',
      says: [
        'the recipe has one error',
        set.startsWith('temp') ? 'losses.1.temperature: expected number, found ""' : `--set: '${set}' is not`,
      ],
    })),
    ...[
      ['layers', "--student: 'layers' is not of the form size=number"],
      ['layers: 3', "--student: 'layers: 3' is not of the form size=number"],
      ['layers=two', 'layers: expected number, found "two"'],
      ['layers=0', 'layers: expected more than 0'],
      ['layers=1,layers=2', 'layers: given twice'],
      ['layers=1,size=4', 'size: unknown key'],
      ['layers=1.5', 'layers: '],
      ['layers=1,hidden=12,heads=5', '5 heads do not divide a hidden size of 12'],
    ].map(([student, says]): BadInput => ({
      name: `--student ${student}`,
      words: shape(student as string),
      code: 'invalid-recipe',
      says: [says as string],
    })),
  ]);
});

describe('students', () => {
  tableOfBadInputs([
    {
      name: 'more layers than the teacher',
      given: goodInput,
      words: shape('layers=3'),
      code: 'invalid-student',
      says: ['the student has 3 layers, its source @model only 2', '--student layers=N', 'student.init.from=random'],
    },
    {
      name: 'a layer that the teacher does not have',
      given: goodInput,
      words: [...shape('layers=2'), '--set', 'student.init.layers=0,2'],
      code: 'invalid-student',
      says: ['layer 2 is not in @model, which has layers 0 to 1'],
    },
    {
      name: "heads that do not divide the teacher's hidden size",
      given: goodInput,
      words: shape('layers=1,heads=3'),
      code: 'invalid-student',
      says: ['3 heads do not divide a hidden size of 8', '--student layers=1,hidden=8,heads=N'],
    },
    {
      name: 'layers copied between different shapes',
      given: goodInput,
      words: [...shape('layers=1,hidden=4'), '--set', 'student.init.from=teacher'],
      code: 'invalid-student',
      says: ['hiddenSize 4 (student) and 8 (@model)', 'student.init.from=random'],
    },
    {
      name: 'a checkpoint that is not there',
      given: goodInput,
      words: shape('@small'),
      code: 'file-not-found',
      says: ['@small does not exist'],
    },
    {
      name: 'a checkpoint and a shape for it',
      given: goodInput,
      words: [...shape('@model'), '--set', 'student.layers=1'],
      code: 'invalid-recipe',
      says: ['--set student.layers=1: the student is a checkpoint, which has a shape already'],
    },
  ]);
});

describe('teachers', () => {
  const teacher = (json: Readonly<Record<string, unknown>>) => async (folder: string) => {
    await goodInput(folder);
    await writeModel(join(folder, 'model'), json);
  };
  tableOfBadInputs([
    {
      name: 'another number of labels',
      given: teacher({ id2label: { 0: 'bad', 1: 'fair', 2: 'good' } }),
      words: shape('layers=1'),
      code: 'label-mismatch',
      says: ['@model has 3 labels (bad, fair, good), sst2 has 2', 'kdx finetune', '--task sst2'],
    },
    {
      name: 'another order of labels',
      given: teacher({ id2label: { 0: 'positive', 1: 'negative' } }),
      words: shape('layers=1'),
      code: 'label-mismatch',
      says: ['positive, negative', 'negative, positive', 'another order'],
    },
    {
      name: 'a regression, for classes',
      given: teacher({ id2label: { 0: 'score' } }),
      words: shape('layers=1'),
      code: 'label-mismatch',
      says: ['@model is for regression, the task sst2 is classification'],
    },
    {
      name: 'no classifier',
      async given(folder) {
        await goodInput(folder);
        const drop = (weights: Map<string, Tensor>) =>
          ['classifier.weight', 'classifier.bias'].forEach((name) => weights.delete(name));
        await writeModel(join(folder, 'model'), {}, drop);
      },
      words: shape('layers=1'),
      code: 'no-classifier-head',
      says: ['@model is a pretrained encoder', 'kdx finetune --model @model'],
    },
    {
      name: 'an evaluation on a task with other labels',
      given: teacher({ id2label: { 0: 'bad', 1: 'fair', 2: 'good' } }),
      words: ['eval', '--model', '@model', ...goodData, '--device', 'cpu'],
      code: 'label-mismatch',
      says: ['@model has 3 labels (bad, fair, good), sst2 has 2', 'the task that it was trained for'],
    },
  ]);
});

describe('folders for the result', () => {
  const notes = (path: string) => async (folder: string) => {
    await goodInput(folder);
    await mkdir(join(folder, path), { recursive: true });
    await writeFile(join(folder, path, 'notes.txt'), 'mine');
  };
  const trained = async (folder: string) => {
    await goodInput(folder);
    const { text } = await runIn(folder, finetuning);
    if (text !== '') throw new Error(text);
  };
  tableOfBadInputs([
    {
      name: 'files that are no run',
      given: notes('out'),
      words: finetuning,
      code: 'run-exists',
      says: ['@out is not empty (notes.txt)', 'new or empty'],
    },
    {
      name: 'files that are no run, with --resume',
      given: notes('out'),
      words: [...finetuning, '--resume'],
      code: 'run-exists',
      says: ['@out is not empty (notes.txt)', 'new or empty'],
    },
    {
      name: 'the folder of the model',
      given: goodInput,
      words: ['finetune', '--model', '@model', ...goodData, '--out', '@model', '--max-length', '16', '--device', 'cpu'],
      code: 'run-exists',
      says: ['@model is not empty'],
    },
    {
      name: 'a file',
      async given(folder) {
        await goodInput(folder);
        await writeFile(join(folder, 'out'), 'mine');
      },
      words: finetuning,
      code: 'not-a-folder',
      says: ['@out'],
    },
    {
      name: 'an earlier run',
      given: trained,
      words: finetuning,
      code: 'run-exists',
      says: ['@out holds another run', '--resume', 'new or empty'],
    },
    {
      name: 'an earlier run, resumed with other options and other data',
      async given(folder) {
        await trained(folder);
        await writeTask(join(folder, 'data'), ['fine\t1', 'bad\t0']);
      },
      words: [...finetuning, '--lr', '1e-3', '--seed', '7', '--resume'],
      code: 'run-mismatch',
      says: [
        'the run in @out was started differently',
        'seed: 42 before, 7 now',
        'recipe.train.lr: 0.00005 before, 0.001 now',
        'inputs.train: "',
      ],
    },
    {
      name: 'an earlier run of another command',
      given: trained,
      words: [...shape('layers=1'), '--resume'],
      code: 'run-mismatch',
      says: ['command: "finetune" before, "distill" now'],
    },
    {
      name: 'a damaged record',
      async given(folder) {
        await goodInput(folder);
        await mkdir(join(folder, 'out'));
        await writeFile(join(folder, 'out/run.json'), '{"format":');
      },
      words: [...finetuning, '--resume'],
      code: 'corrupt-run',
      says: ['@out/run.json', 'new or empty'],
    },
    {
      name: 'a damaged state',
      async given(folder) {
        await trained(folder);
        await rm(join(folder, 'out/result.json'));
        await writeFile(join(folder, 'out/finetuning.state.safetensors'), 'half');
      },
      words: [...finetuning, '--resume'],
      code: 'corrupt-safetensors',
      says: ['@out/finetuning.state.safetensors'],
    },
    {
      name: 'an export over files that are none',
      given: notes('out'),
      words: ['export', '--model', '@model', '--out', '@out'],
      code: 'output-exists',
      says: ['@out is not empty', 'notes.txt', 'new or empty'],
    },
  ]);
});
