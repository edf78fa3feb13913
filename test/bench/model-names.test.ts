/** What models are called in a report. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelNames } from '../../plugins/bench/src/model-names.ts';

test('names are as short as tells the models apart', () => {
  const cases: readonly [refs: string[], names: string[]][] = [
    [
      ['runs/teacher', 'runs/small/'],
      ['teacher', 'small'],
    ],
    [
      ['org/bert', './bert'],
      ['org/bert', `${process.cwd().split('/').at(-1)}/bert`],
    ],
    [
      ['a/onnx/model.onnx', 'b/onnx/model.onnx'],
      ['a', 'b'],
    ],
    [
      ['config:bert-base', 'a/onnx/model_quantized.onnx', 'b/onnx/model_quantized.onnx', 'c/model.onnx'],
      ['config:bert-base', 'a/model_quantized', 'b/model_quantized', 'c/model.onnx'],
    ],
    [
      ['a', 'a/onnx/model.onnx'],
      ['a', 'a (2)'],
    ],
    [
      ['config:bert-base', 'runs/small'],
      ['config:bert-base', 'small'],
    ],
    [
      ['t', 's', './s', 't'],
      ['t', 's', 's (2)', 't (2)'],
    ],
  ];
  for (const [refs, names] of cases) assert.deepEqual(modelNames(refs), names);
});
