/** Flags that distill and compare share. */
import { Flags } from '@oclif/core';

const repeated = { multiple: true, multipleNonGreedy: true } as const;

export const teacherFlag = Flags.string({
  summary: 'Finetuned classifier: checkpoint folder, hub id, or ONNX file. May be repeated.',
  helpValue: 'DIR|FILE',
  ...repeated,
});

export const augmentedFlag = Flags.string({
  summary: 'More training examples made from these, as kdx augment writes them. May be repeated.',
  helpValue: 'FILE',
  helpGroup: 'DATA',
  ...repeated,
});
