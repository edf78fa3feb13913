/** Distillations and comparisons that cannot be: what kdx says of them, and that they leave nothing behind. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from 'node:test';
import {
  goodData,
  goodInput,
  runIn,
  tableOfBadInputs,
  writeModel,
  writeTask,
  type BadInput,
} from '../cli/bad-input.ts';

const common = [...goodData, '--out', '@out', '--device', 'cpu', '--max-length', '16', '--epochs', '1', '--batch', '4'];
const distill = (method: string, student = 'layers=1', ...more: string[]) => [
  ...['distill', '--teacher', '@model', '--student', student, '--method', method],
  ...common,
  ...more,
];

const row = (
  name: string,
  code: string,
  words: readonly string[],
  says: BadInput['says'],
  more: Partial<BadInput> = {},
): BadInput => ({ name, code, words, says, given: goodInput, ...more });

/** Good input and one more file. */
const withFile = (name: string, content: string) => ({
  given: async (folder: string) => {
    await goodInput(folder);
    await writeFile(join(folder, name), content);
  },
});

const impossible = 'impossible-distillation';

describe('models and methods that do not go together', () => {
  tableOfBadInputs([
    row('heads of TinyBERT', impossible, distill('tinybert', 'layers=1,hidden=4,heads=1'), ['heads=2', 'attention=0']),
    row('layers of TinyBERT', impossible, distill('tinybert', 'layers=2', '--set', 'transformer.map=[3,1]'), [
      'layer 3, the teacher has 1 to 2',
    ]),
    row('widths of Patient KD', impossible, distill('pkd', 'layers=2,hidden=4'), ['4', '8']),
    row(
      'a teacher without a head for masked words',
      impossible,
      distill('distilbert', 'layers=1', '--corpus', '@t.txt'),
      ['masked-language-model head'],
      withFile('t.txt', 'the screen is superb\n'),
    ),
    row('inner values of two teachers', impossible, distill('mixkd', 'layers=1', '--teacher', '@model'), [
      '2 teachers do not have in common',
    ]),
    row('several at once', impossible, distill('tinybert', 'layers=1,hidden=4,heads=1', '--set', 'lossy=1'), [
      '2 things would not work',
      'lossy',
      'heads=2',
    ]),
    row('teachers for other tasks', 'label-mismatch', distill('kd', 'layers=1', '--teacher', '@three'), ['@three'], {
      given: async (folder) => {
        await goodInput(folder);
        await writeModel(join(folder, 'three'), { id2label: { 0: 'a', 1: 'b', 2: 'c' } });
      },
    }),
  ]);
});

describe('text and examples', () => {
  const pretrain = (...more: string[]) => distill('pretrained-kd', 'layers=1', ...more);
  tableOfBadInputs([
    row('no corpus', impossible, pretrain(), ['stage pretraining', '--corpus FILE']),
    row('a corpus that is not there', 'file-not-found', pretrain('--corpus', '@t.txt'), ['@t.txt'], {
      suggests: false,
    }),
    row(
      'a corpus without text',
      'empty-corpus',
      pretrain('--corpus', '@t.txt'),
      ['@t.txt'],
      withFile('t.txt', '\n \n'),
    ),
    row(
      'no examples for a stage on the task',
      impossible,
      ['distill', '--teacher', '@model', '--student', 'layers=1', '--out', '@out'],
      ['--data DIR --task NAME'],
    ),
    row(
      'augmented examples that are not there',
      'file-not-found',
      distill('kd', 'layers=1', '--augmented', '@a.tsv'),
      ['@a.tsv'],
      {
        suggests: false,
      },
    ),
    row(
      'augmented examples with an unknown label and an empty text',
      'unknown-label',
      distill('kd', 'layers=1', '--augmented', '@a.tsv'),
      ['@a.tsv:2: label "7"', '@a.tsv:3: the text is empty'],
      { ...withFile('a.tsv', 'text\tlabel\nfine\t7\n\t1\n'), suggests: false },
    ),
    row(
      'augmented examples of nobody knows which part',
      'unknown-source',
      distill('kd', 'layers=1', '--augmented', '@a.tsv', '--limit', '2'),
      ['@a.tsv', '--limit'],
      withFile('a.tsv', 'text\tlabel\nfine\t1\n'),
    ),
    row('a limit of nothing', 'invalid-usage', distill('kd', 'layers=1', '--limit', '0'), ['--limit', '1']),
  ]);
});

describe('folders', () => {
  const trained = async (folder: string) => {
    await goodInput(folder);
    await runIn(folder, distill('kd'));
  };
  tableOfBadInputs([
    row(
      'none',
      'invalid-usage',
      distill('kd').filter((word) => word !== '--out' && word !== '@out'),
      ['--out DIR'],
    ),
    row('one with other things in it', 'run-exists', distill('kd'), ['@out is not empty (notes.txt)'], {
      given: async (folder) => {
        await goodInput(folder);
        await mkdir(join(folder, 'out'));
        await writeFile(join(folder, 'out', 'notes.txt'), 'mine');
      },
    }),
    row('a file', 'not-a-folder', distill('kd'), ['@out'], withFile('out', 'mine')),
    row('one with a finished run', 'run-exists', distill('kd'), ['--resume'], { given: trained }),
    row(
      'going on with other losses',
      'run-mismatch',
      distill('kd', 'layers=1', '--resume', '--set', 'temperature=4'),
      ['recipe.stages.0.losses.1.temperature: 2 before, 4 now'],
      { given: trained },
    ),
    row('going on with other examples', 'run-mismatch', distill('kd', 'layers=1', '--resume'), ['inputs.train'], {
      given: async (folder) => {
        await trained(folder);
        await writeTask(join(folder, 'data'), ['a clever filter\t1', 'the hinge is sloppy\t0']);
      },
    }),
  ]);
});

describe('comparisons', () => {
  const compare = (...more: string[]) => [
    ...['compare', '--teacher', '@model', '--student', 'layers=1'],
    ...common,
    ...['--seeds', '1', ...more],
  ];
  tableOfBadInputs([
    row('a method that nobody knows', impossible, compare('--methods', 'kdd'), ['kdd']),
    row('a method twice', 'invalid-usage', compare('--methods', 'kd,kd'), ['kd twice'], { suggests: false }),
    row('a fraction above all', 'invalid-usage', compare('--fractions', '200%'), ["'200%' is not a part of the data"]),
    row('a recipe that is not there', 'file-not-found', compare('--methods', 'mine=@my.json'), ['@my.json'], {
      suggests: false,
    }),
    row('no teacher', 'invalid-usage', ['compare', '--student', 'layers=1', ...common], ['--teacher DIR']),
    row('a folder with other things in it', 'run-exists', compare('--methods', 'kd'), ['@out is not empty'], {
      given: async (folder) => {
        await goodInput(folder);
        await mkdir(join(folder, 'out'));
        await writeFile(join(folder, 'out', 'notes.txt'), 'mine');
      },
    }),
  ]);
});
