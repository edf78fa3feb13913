/** Examples that cannot be used: file, line, what was found and what was expected, up to ten at once. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from 'node:test';
import { goodData, tableOfBadInputs, writeModel, writeTask, type BadInput } from './bad-input.ts';

/** Read before the model, which need not be there. */
const finetune = ['finetune', '--model', '@model', '--out', '@out'];
const goodText = 'review,stars\nfine,1\nbad,0\n';

/** An SST-2 folder with these training rows. */
function task(...rows: string[]): (folder: string) => Promise<void> {
  return (folder) => writeTask(join(folder, 'data'), rows);
}

/** Two files of the user's own. */
function files(name: string, content: string | Uint8Array): Pick<BadInput, 'given' | 'words'> {
  return {
    async given(folder) {
      await writeFile(join(folder, name), content);
      await writeFile(join(folder, 'dev.csv'), goodText);
    },
    words: [
      ...finetune,
      '--train',
      `@${name}`,
      '--dev',
      '@dev.csv',
      '--text-column',
      'review',
      '--label-column',
      'stars',
    ],
  };
}

describe('where examples are looked for', () => {
  tableOfBadInputs([
    {
      name: 'no folder',
      words: [...finetune, ...goodData],
      code: 'file-not-found',
      says: ['@data does not exist'],
      suggests: false,
    },
    {
      name: 'a file in place of a folder',
      given: (folder) => writeFile(join(folder, 'data'), ''),
      words: [...finetune, ...goodData],
      code: 'not-a-folder',
      says: ['@data'],
    },
    {
      name: 'a folder without the files of the task',
      given: async (folder) => {
        await task('fine\t1')(folder);
        await rm(join(folder, 'data/train.tsv'));
      },
      words: [...finetune, ...goodData],
      code: 'missing-task-file',
      says: [
        '@data has no train.tsv',
        'a sst2 folder holds train.tsv and dev.tsv',
        'found dev.tsv',
        '--train FILE --dev FILE',
      ],
    },
    {
      name: 'a folder in place of a file',
      given: (folder) => mkdir(join(folder, 'data.tsv')),
      words: [...finetune, '--train', '@data.tsv', '--dev', '@data.tsv'],
      code: 'not-a-file',
      says: ['@data.tsv is a folder'],
      suggests: false,
    },
    {
      name: 'an unknown task',
      given: task('fine\t1'),
      words: [...finetune, '--data', '@data', '--task', 'sst3'],
      code: 'unknown-task',
      says: ['no task "sst3"', 'known are sst2, mrpc, rte', '--task sst2'],
    },
    {
      name: 'a folder without a task',
      words: [...finetune, '--data', '@data'],
      code: 'invalid-usage',
      says: ['--data needs --task', '--data DIR --task sst2'],
    },
    {
      name: 'no examples at all',
      words: finetune,
      code: 'invalid-usage',
      says: ['--data DIR --task sst2', '--train FILE --dev FILE'],
    },
    {
      name: 'training examples without others to measure on',
      words: [...finetune, '--train', '@train.csv'],
      code: 'invalid-usage',
      says: ['--dev', '--train FILE --dev FILE'],
    },
    {
      name: 'a folder and files',
      words: [...finetune, ...goodData, '--dev', '@dev.csv'],
      code: 'invalid-usage',
      says: ['--data and --train or --dev exclude each other'],
    },
    {
      name: 'a column, for a folder that has its own',
      words: [...finetune, ...goodData, '--text-column', 'review'],
      code: 'invalid-usage',
      says: ['--text-column is for --train and --dev', '--train FILE --dev FILE --text-column NAME'],
    },
    {
      name: 'an unknown format',
      ...files('train.xlsx', ''),
      code: 'unknown-data-format',
      says: ['@train.xlsx', '.csv', '.jsonl'],
    },
  ]);
});

describe('what is in a task folder', () => {
  tableOfBadInputs([
    {
      name: 'a missing column, with those found',
      given: async (folder) => {
        await task('fine\t1')(folder);
        await writeFile(join(folder, 'data/train.tsv'), 'text\tlabel\nfine\t1\n');
      },
      words: [...finetune, ...goodData],
      code: 'missing-column',
      says: ['@data/train.tsv:1: no column "sentence"; columns found: "text", "label"', '--text-column'],
    },
    {
      name: 'ragged and empty rows, labels outside the set: all with their lines',
      given: task('fine\t1', 'bad', 'a\tb\t0', '\t1', 'odd\t2', 'odd\tgood', ''),
      words: [...finetune, ...goodData],
      code: 'ragged-row',
      says: [
        '@data/train.tsv:3: 2 columns expected, found 1',
        '@data/train.tsv:4: 2 columns expected, found 3',
        '@data/train.tsv:5: the text is empty',
        '@data/train.tsv:6: label "2" is not one of "negative", "positive", or an id from 0 to 1',
        '@data/train.tsv:7: label "good" is not',
      ],
      suggests: false,
    },
    {
      name: 'an empty line between rows',
      given: task('fine\t1', '', 'bad\t0'),
      words: [...finetune, ...goodData],
      code: 'ragged-row',
      says: ['@data/train.tsv:3: 2 columns expected, found an empty line'],
      suggests: false,
    },
    {
      name: 'more mistakes than a person reads',
      given: task(...Array.from({ length: 25 }, () => 'odd\t7')),
      words: [...finetune, ...goodData],
      code: 'unknown-label',
      says: ['@data/train.tsv:11: label "7"', '... and 15 more'],
      suggests: false,
    },
    {
      name: 'a header and no example',
      given: task(),
      words: [...finetune, ...goodData],
      code: 'empty-data',
      says: ['@data/train.tsv: there is no example in this file'],
      suggests: false,
    },
    {
      name: 'an empty file, in the development set too',
      given: async (folder) => {
        await task('fine\t1')(folder);
        await writeFile(join(folder, 'data/dev.tsv'), '');
      },
      words: ['eval', '--model', '@model', ...goodData],
      code: 'empty-data',
      says: ['@data/dev.tsv: there is no example in this file'],
      suggests: false,
    },
    {
      name: 'a regression label that is no number of the range',
      given: async (folder) => {
        await mkdir(join(folder, 'data'));
        const rows = ['a\tb\t5.5', 'a\tb\tmuch', 'a\tb\t4.5'];
        for (const name of ['train.tsv', 'dev.tsv'])
          await writeFile(join(folder, 'data', name), ['sentence1\tsentence2\tscore', ...rows, ''].join('\n'));
      },
      words: [...finetune, '--data', '@data', '--task', 'stsb'],
      code: 'unknown-label',
      says: ['@data/train.tsv:2: label "5.5" is not a number from 0 to 5', '@data/dev.tsv:3: label "much"'],
      suggests: false,
    },
  ]);
});

describe('files of the user', () => {
  tableOfBadInputs([
    {
      name: 'no column of the given name',
      ...files('train.csv', 'text,stars\nfine,1\n'),
      code: 'missing-column',
      says: ['@train.csv:1: no column "review"; columns found: "text", "stars"', '--text-column'],
    },
    {
      name: 'a quote that is never closed',
      ...files('train.csv', 'review,stars\nfine,1\n"bad,0\n'),
      code: 'invalid-csv',
      says: [/@train\.csv:\d+: /],
      suggests: false,
    },
    {
      name: 'not UTF-8, with the line',
      ...files('train.csv', Buffer.from('review,stars\nfine,1\nd\xe9j\xe0 vu,0\n', 'latin1')),
      code: 'not-utf8',
      says: ['@train.csv:3: not UTF-8 text', 'iconv'],
      suggests: false,
    },
    {
      name: 'JSON lines: no JSON, no object, no key, no text',
      ...files('train.jsonl', '{"review":"a","stars":1}\n{"review":\n[1]\n{"text":"a"}\n{"review":{},"stars":0}\n'),
      code: 'invalid-json-line',
      says: [
        '@train.jsonl:2: not JSON',
        '@train.jsonl:3: not a JSON object',
        '@train.jsonl:4: no key "review"; keys found: "text"',
        '@train.jsonl:5: "review" is neither text nor a number',
      ],
    },
    {
      name: 'one label only',
      ...files('train.csv', 'review,stars\nfine,1\nbad,1\n'),
      code: 'single-label',
      says: ['@train.csv: every label is "1"'],
      suggests: false,
    },
    {
      name: 'a label that only the development set has',
      ...files('train.csv', 'review,stars\nfine,1\nbad,2\n'),
      code: 'unknown-label',
      says: ['@dev.csv:3: label "0" is not one of "1", "2"'],
      suggests: false,
    },
    {
      name: 'a column of numbers in place of labels',
      ...files('train.csv', `review,stars\n${Array.from({ length: 1001 }, (_, i) => `text,${i / 7}\n`).join('')}`),
      code: 'too-many-labels',
      says: ['@train.csv: 1001 different labels', '--label-column'],
    },
  ]);
});

describe('lengths', () => {
  const given = async (folder: string) => {
    await writeModel(join(folder, 'model'));
    await task('fine\t1', 'bad\t0')(folder);
  };
  const long = (words: readonly string[]): BadInput => ({
    name: `more tokens than positions: kdx ${words[0]}`,
    given,
    words: [...words, ...goodData, '--device', 'cpu', '--max-length', '33'],
    code: 'sequence-too-long',
    says: ['33 tokens', '32 positions', '--max-length 32'],
  });
  tableOfBadInputs([
    long(finetune),
    long(['distill', '--teacher', '@model', '--student', 'layers=1', '--out', '@out']),
    long(['eval', '--model', '@model']),
    {
      name: 'the default length is too long as well',
      given,
      words: [...finetune, ...goodData, '--device', 'cpu'],
      code: 'sequence-too-long',
      says: ['128 tokens', '32 positions', '--max-length 32'],
    },
    {
      name: 'no room for a token of a pair',
      given: async (folder) => {
        await given(folder);
        for (const name of ['train.csv', 'dev.csv'])
          await writeFile(join(folder, name), 'text,more,label\na,b,1\nc,d,0\n');
      },
      words: [
        ...finetune,
        '--train',
        '@train.csv',
        '--dev',
        '@dev.csv',
        '--pair-column',
        'more',
        '--max-length',
        '3',
        '--device',
        'cpu',
      ],
      code: 'invalid-max-length',
      says: ['a length of 3 has no room for text: 3 special tokens', '--max-length'],
    },
  ]);
});
