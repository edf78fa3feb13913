/** ONNX files that cannot be used as a classifier: damaged, incomplete, or something else. */
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from 'node:test';
import { modelOf, tensor } from '../../src/graph/index.ts';
import { writeModel as writeOnnx } from '../../src/onnx/index.ts';
import { GraphBuilder, type Value } from '../../src/ops/index.ts';
import { goodData, tableOfBadInputs, writeModel, writeTask, type BadInput } from './bad-input.ts';

describe('ONNX files', () => {
  const exported = (content: Uint8Array | string) => async (folder: string) => {
    await writeModel(join(folder, 'model'));
    await mkdir(join(folder, 'model/onnx'));
    await rm(join(folder, 'model/model.safetensors'));
    await writeFile(join(folder, 'model/onnx/model.onnx'), content);
  };
  /** A graph with the inputs and the output of a classifier, or others. */
  const graph = (inputs: readonly string[], output: string, width: number) => async (folder: string) => {
    await exported('')(folder);
    const g = new GraphBuilder();
    const [first] = inputs.map((name) => g.input(name, 'int64', ['batch_size', 'sequence_length']));
    const sum = g.sum(g.op('Cast', [first as Value], { to: 'float32' }), [1], 1);
    const weight = tensor('float32', [1, width], new Float32Array(width));
    g.output(output, g.op('MatMul', [sum, g.initializer('weight', weight)]));
    await writeOnnx(join(folder, 'model/onnx/model.onnx'), modelOf(g.build('other')));
  };
  const predict = ['predict', '--model', '@model', 'text', '--device', 'cpu'];
  tableOfBadInputs([
    {
      name: 'nothing is there',
      words: ['predict', '--model', '@small.onnx', 'text'],
      code: 'file-not-found',
      says: ['@small.onnx does not exist', 'kdx export'],
    },
    {
      name: 'no config.json beside it',
      given: (folder) => writeFile(join(folder, 'small.onnx'), ''),
      words: ['predict', '--model', '@small.onnx', 'text'],
      code: 'not-a-checkpoint',
      says: ['no config.json beside @small.onnx'],
    },
    ...(['inspect @model/onnx/model.onnx', 'predict --device cpu text --model @model'] as const).flatMap(
      (words): BadInput[] => [
        {
          name: `text: kdx ${words.split(' ')[0]}`,
          given: exported('this is no model'),
          words: words.split(' '),
          code: 'corrupt-onnx',
          says: ['@model/onnx/model.onnx', 'not an ONNX model', 'export the model again'],
        },
        {
          name: `an empty file: kdx ${words.split(' ')[0]}`,
          given: exported(''),
          words: words.split(' '),
          code: 'corrupt-onnx',
          says: ['@model/onnx/model.onnx'],
        },
        {
          name: `a truncated file: kdx ${words.split(' ')[0]}`,
          given: async (folder) => {
            await graph(['input_ids'], 'logits', 2)(folder);
            const file = join(folder, 'model/onnx/model.onnx');
            await truncate(file, (await readFile(file)).length - 20);
          },
          words: words.split(' '),
          code: 'corrupt-onnx',
          says: ['@model/onnx/model.onnx', 'damaged'],
        },
      ],
    ),
    {
      name: 'a damaged teacher: the folder of the run is not left behind',
      async given(folder) {
        await exported('this is no model')(folder);
        await writeModel(join(folder, 'small'));
        await writeTask(join(folder, 'data'));
      },
      words: [
        ...['distill', '--teacher', '@model', '--student', '@small', ...goodData, '--out', '@runs/out'],
        ...['--max-length', '16', '--device', 'cpu'],
      ],
      code: 'corrupt-onnx',
      says: ['@model/onnx/model.onnx'],
    },
    {
      name: 'a Git LFS pointer',
      given: exported('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n'),
      words: predict,
      code: 'corrupt-onnx',
      says: ['@model/onnx/model.onnx is a Git LFS pointer', 'git lfs pull'],
    },
    {
      name: 'another input than a classifier has',
      given: graph(['pixels'], 'logits', 2),
      words: predict,
      code: 'not-a-classifier',
      says: ['@model/onnx/model.onnx reads pixels', 'input_ids, attention_mask, token_type_ids'],
    },
    {
      name: 'no logits',
      given: graph(['input_ids'], 'hidden', 2),
      words: predict,
      code: 'not-a-classifier',
      says: ['@model/onnx/model.onnx returns hidden, but no logits'],
    },
    {
      name: 'another number of labels than config.json has',
      given: graph(['input_ids'], 'logits', 3),
      words: predict,
      code: 'label-mismatch',
      says: ['returns logits [1, 3], its config.json has 2 label(s)'],
    },
    {
      name: 'an exported folder, where a checkpoint is needed',
      given: graph(['input_ids'], 'logits', 2),
      words: ['export', '--model', '@model', '--out', '@out'],
      code: 'not-a-checkpoint',
      says: ['@model is exported already'],
    },
  ]);
});
