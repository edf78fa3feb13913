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
      ['a/onnx/model.onnx', 'b/onnx/model.onnx'],
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
