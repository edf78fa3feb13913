/** Flags that several commands share. */
import { Flags } from '@oclif/core';
import { KdxError } from 'kdx/errors';
import type { TrainRecipe } from '../recipe/schema.ts';

const repeated = { multiple: true, multipleNonGreedy: true } as const;

export const teacherFlag = Flags.string({
  summary: 'Finetuned classifier: checkpoint folder, hub id, or ONNX file. May be repeated.',
  helpValue: 'DIR|FILE',
  ...repeated,
});

/** How the steps of a training are computed. */
export const stepFlags = {
  recompute: Flags.boolean({
    summary: "Less memory, more time: inner values of the student's layers are computed twice. The result is the same.",
    helpGroup: 'TRAINING',
  }),
  precision: Flags.option({
    options: ['float32', 'float16'] as const,
    summary:
      'Operands of matrix products (default float32); float16 is for GPUs, with float32 weights, sums and losses.',
    helpGroup: 'TRAINING',
  })(),
};

interface StepFlags {
  readonly recompute?: boolean | undefined;
  readonly precision?: TrainRecipe['precision'] | undefined;
}

/** The part of a recipe under `train` that these flags were given for. */
export function stepRecipe({ recompute, precision }: StepFlags): Record<string, boolean | string | undefined> {
  return { recompute: recompute || undefined, precision };
}

/** @throws KdxError `invalid-usage` for a precision that the executor does not have */
export function checkPrecision({ precision }: TrainRecipe, engine: 'ort' | 'tfjs'): void {
  if (precision === 'float16' && engine === 'tfjs')
    throw new KdxError('invalid-usage', 'TensorFlow.js has no float16: train.precision=float16 needs ONNX Runtime', {
      suggestions: ['--engine ort', '--precision float32'],
    });
}

export const augmentedFlag = Flags.string({
  summary: 'More training examples made from these, as kdx augment writes them. May be repeated.',
  helpValue: 'FILE',
  helpGroup: 'DATA',
  ...repeated,
});
