/** Models that cannot be used: every command that takes one says which file, what was found and what was expected. */
import { mkdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from 'node:test';
import { tensor, type Tensor } from '../../src/graph/index.ts';
import { goodData, modelJson, tableOfBadInputs, writeModel, writeTask, type BadInput } from './bad-input.ts';

const query = 'bert.encoder.layer.1.attention.self.query.weight';
const inspect = ['inspect', '@model'];
const weightsFile = (folder: string) => join(folder, 'model/model.safetensors');

/** A model with other bytes in one of its files. */
function broken(file: string, content: string | Uint8Array): (folder: string) => Promise<void> {
  return async (folder) => {
    await writeModel(join(folder, 'model'));
    await writeFile(join(folder, 'model', file), content);
  };
}

/** A model and what `change` does to its weights. */
function reweighted(change: (weights: Map<string, Tensor>) => void): (folder: string) => Promise<void> {
  return (folder) => writeModel(join(folder, 'model'), {}, change);
}

/** A safetensors file by its parts. @param length what the file claims of its header */
function safetensors(header: string, dataBytes: number, length = BigInt(Buffer.byteLength(header))): Uint8Array {
  const first = Buffer.alloc(8);
  first.writeBigUInt64LE(length);
  return Buffer.concat([first, Buffer.from(header), Buffer.alloc(dataBytes)]);
}

const entry = (begin: number, end: number) => ({
  dtype: 'F32',
  shape: [(end - begin) / 4],
  data_offsets: [begin, end],
});

describe('folders that are no checkpoint', () => {
  const noCheckpoint: readonly BadInput[] = [
    ...[
      ['inspect', '@nowhere'],
      ['predict', 'text', '--model', '@nowhere'],
      ['eval', ...goodData, '--model', '@nowhere'],
      ['export', '--out', '@out', '--model', '@nowhere'],
      ['bench', '--student', '@nowhere', '--out', '@out', '--teacher', '@nowhere'],
      ['finetune', ...goodData, '--out', '@out', '--model', '@nowhere'],
      ['distill', '--student', 'layers=1', ...goodData, '--out', '@out', '--teacher', '@nowhere'],
    ].map((words): BadInput => ({
      name: `nothing is there: kdx ${words[0]}`,
      given: (folder) => writeTask(join(folder, 'data')),
      words,
      code: 'file-not-found',
      says: ['@nowhere does not exist', 'org/name'],
    })),
    {
      name: 'a hub id without a network',
      words: ['inspect', 'org/name@v2'],
      code: 'hub-offline',
      says: ['org/name', 'v2', 'local folder'],
    },
    {
      name: 'a file',
      given: (folder) => writeFile(join(folder, 'model'), ''),
      words: inspect,
      code: 'corrupt-onnx',
      says: ['@model'],
    },
    {
      name: 'a file, where a checkpoint is needed',
      given: async (folder) => {
        await writeTask(join(folder, 'data'));
        await writeFile(join(folder, 'model'), '');
      },
      words: ['finetune', '--model', '@model', ...goodData, '--out', '@out'],
      code: 'not-a-folder',
      says: ['@model is a file', 'config.json and model.safetensors'],
    },
    {
      name: 'an empty folder',
      given: (folder) => mkdir(join(folder, 'model')),
      words: inspect,
      code: 'not-a-checkpoint',
      says: ['@model is not a checkpoint: it has no config.json and no model.safetensors', 'Hugging Face folder'],
    },
    {
      name: 'weights only as a pickle',
      given: async (folder) => {
        await writeModel(join(folder, 'model'));
        await rename(weightsFile(folder), join(folder, 'model/pytorch_model.bin'));
      },
      words: ['predict', '--model', '@model', 'text'],
      code: 'unsafe-weights',
      says: ['@model', 'pytorch_model.bin', 'safe_serialization=True'],
    },
    {
      name: 'a shard is missing',
      given: async (folder) => {
        const index = { weight_map: { 'classifier.bias': 'model-00001-of-00002.safetensors' } };
        await broken('model.safetensors.index.json', JSON.stringify(index))(folder);
        await rm(weightsFile(folder));
      },
      words: inspect,
      code: 'not-a-checkpoint',
      says: ['@model lacks model-00001-of-00002.safetensors', 'model.safetensors.index.json'],
    },
    {
      name: 'an index that leads out of the folder',
      given: async (folder) => {
        await broken('model.safetensors.index.json', '{"weight_map":{"a":"../b.safetensors"}}')(folder);
        await rm(weightsFile(folder));
      },
      words: inspect,
      code: 'corrupt-index',
      says: ['@model/model.safetensors.index.json', '"../b.safetensors"'],
    },
    {
      name: 'a pretrained encoder, where a classifier is needed',
      given: reweighted((weights) => {
        weights.delete('classifier.weight');
        weights.delete('classifier.bias');
      }),
      words: ['predict', '--model', '@model', 'text'],
      code: 'no-classifier-head',
      says: ['@model is a pretrained encoder', 'kdx finetune --model @model'],
    },
  ];
  tableOfBadInputs(noCheckpoint);
});

describe('config.json', () => {
  tableOfBadInputs([
    {
      name: 'another model type: which are supported',
      given: broken('config.json', '{"model_type":"t5"}'),
      words: inspect,
      code: 'unsupported-model-type',
      says: ['@model/config.json has model_type "t5"', 'supported model types: bert'],
    },
    {
      name: 'no model type',
      given: broken('config.json', '{}'),
      words: inspect,
      code: 'unsupported-model-type',
      says: ['@model/config.json has no model_type', 'supported model types: bert'],
    },
    {
      name: 'no JSON',
      given: broken('config.json', '{"model_type": "bert",'),
      words: inspect,
      code: 'invalid-config',
      says: [/@model\/config\.json: not JSON \(.*JSON/],
    },
    {
      name: 'several wrong values, all at once',
      given: broken(
        'config.json',
        JSON.stringify({ ...modelJson, vocab_size: -1, hidden_act: 'tanh', hidden_size: 9, is_decoder: true }),
      ),
      words: inspect,
      code: 'invalid-config',
      says: [
        '@model/config.json:',
        'vocab_size is -1, expected an integer from 1',
        'hidden_act is "tanh", expected gelu',
        'is_decoder is true, only false is supported',
      ],
      suggests: false,
    },
    {
      name: 'heads that do not divide the hidden size',
      given: broken('config.json', JSON.stringify({ ...modelJson, hidden_size: 9 })),
      words: inspect,
      code: 'invalid-config',
      says: ['num_attention_heads 2 does not divide hidden_size 9'],
      suggests: false,
    },
  ]);
});

describe('model.safetensors', () => {
  const files: readonly (readonly [name: string, content: Uint8Array, says: readonly string[]])[] = [
    ['an empty file', new Uint8Array(), ['it has 0 bytes']],
    ['a header length of 2^60', safetensors('{}', 0, 2n ** 60n), ['claims 1152921504606846976 bytes']],
    ['a header length beyond the file', safetensors('{}', 0, 1000n), ['claims 1000 bytes, but the file has 10']],
    ['a header that is no JSON', safetensors('{"a":', 0), ['its header is not JSON']],
    [
      'offsets outside the file',
      safetensors(JSON.stringify({ a: entry(0, 64) }), 16),
      ['tensor a ends at byte 64', 'only 16'],
    ],
    [
      'overlapping tensors',
      safetensors(JSON.stringify({ a: entry(0, 16), b: entry(8, 24) }), 24),
      ['tensors a and b overlap'],
    ],
    [
      'a shape that does not fit its bytes',
      safetensors(JSON.stringify({ a: { ...entry(0, 16), shape: [3] } }), 16),
      ['tensor a is F32 [3], which takes 12 bytes, but has 16'],
    ],
  ];
  tableOfBadInputs([
    ...files.map(([name, content, says]): BadInput => ({
      name,
      given: broken('model.safetensors', content),
      words: inspect,
      code: 'corrupt-safetensors',
      says: ['@model/model.safetensors is not a valid safetensors file', ...says, 'copy or download the file again'],
    })),
    {
      name: 'a truncated file',
      given: async (folder) => {
        await writeModel(join(folder, 'model'));
        await truncate(weightsFile(folder), 10_000);
      },
      words: ['predict', '--model', '@model', 'text'],
      code: 'corrupt-safetensors',
      says: ['@model/model.safetensors', /tensor bert\.\S+ ends at byte \d+ of the data, but the file holds only \d+/],
    },
    {
      name: 'a missing tensor, by name and shape',
      given: reweighted((weights) => weights.delete(query)),
      words: inspect,
      code: 'missing-tensor',
      says: [`@model has no tensor ${query}, expected with shape [8, 8]`],
    },
    {
      name: 'a tensor of another shape: expected and found',
      given: reweighted((weights) => weights.set(query, tensor('float32', [8, 4], new Float32Array(32)))),
      words: inspect,
      code: 'tensor-shape',
      says: [`tensor ${query} of @model/model.safetensors has shape [8, 4], expected [8, 8]`],
    },
    {
      name: 'a tensor of integers',
      given: reweighted((weights) => weights.set(query, tensor('int8', [8, 8], new Int8Array(64)))),
      words: inspect,
      code: 'tensor-dtype',
      says: [`tensor ${query}`, 'int8', 'before quantization'],
    },
    {
      name: 'more layers than config.json says',
      given: async (folder) => {
        await writeModel(join(folder, 'model'));
        await writeFile(join(folder, 'model/config.json'), JSON.stringify({ ...modelJson, num_hidden_layers: 1 }));
      },
      words: inspect,
      code: 'unexpected-tensor',
      says: ['@model/model.safetensors has bert.encoder.layer.1.', 'config.json has only 1 layer'],
    },
    {
      name: 'a tensor under two names',
      given: reweighted((weights) => weights.set('pooler.dense.bias', weights.get('bert.pooler.dense.bias') as Tensor)),
      words: inspect,
      code: 'duplicate-tensor',
      says: ['bert.pooler.dense.bias', 'pooler.dense.bias'],
    },
  ]);
});

describe('tokenizer', () => {
  tableOfBadInputs([
    {
      name: 'no file of it',
      given: async (folder) => {
        await writeModel(join(folder, 'model'));
        await rm(join(folder, 'model/tokenizer.json'));
      },
      words: ['predict', '--model', '@model', 'text'],
      code: 'missing-tokenizer',
      says: ['@model has neither tokenizer.json nor vocab.txt', 'copy the tokenizer files'],
    },
    {
      name: 'no JSON',
      given: broken('tokenizer.json', '{"model": {'),
      words: ['predict', '--model', '@model', 'text'],
      code: 'invalid-json',
      says: ['@model/tokenizer.json is not JSON'],
    },
    {
      name: 'a vocabulary without the tokens that BERT needs',
      given: async (folder) => {
        await broken('vocab.txt', 'one\ntwo\n')(folder);
        await rm(join(folder, 'model/tokenizer.json'));
      },
      words: ['predict', '--model', '@model', 'text'],
      code: 'invalid-vocabulary',
      says: ['@model/vocab.txt has no token [CLS]'],
    },
    {
      name: 'a tokenizer.json of another kind',
      given: broken('tokenizer.json', '{"version":"1.0","model":{"type":"Novel","vocab":{}}}'),
      words: ['predict', '--model', '@model', 'text'],
      code: 'invalid-tokenizer',
      says: ['the tokenizer in @model cannot be used'],
    },
    ...['predict text', 'eval', 'finetune --out @out', 'export --out @out'].map((words): BadInput => {
      const [command = '', ...more] = words.split(' ');
      return {
        name: `more tokens than the embedding has rows: kdx ${command}`,
        given: async (folder) => {
          await writeModel(join(folder, 'model'), { vocab_size: 200 });
          await writeTask(join(folder, 'data'));
        },
        words: [
          command,
          '--model',
          '@model',
          ...more,
          ...(command === 'predict' ? [] : goodData),
          ...(command === 'finetune' ? ['--max-length', '16'] : []),
        ],
        code: 'vocabulary-mismatch',
        says: ['@model', 'the tokenizer has 275 tokens, the embedding has 200 rows'],
      };
    }),
  ]);
});
