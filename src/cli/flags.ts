/** Flags that several commands share. Where a recipe holds the default, the flag has none: undefined means not given. */
import { Flags } from '@oclif/core';
import { KdxError } from '../errors/index.ts';
import { deviceFlag } from './device-flag.ts';

type NumberRange = { readonly min?: number; readonly max?: number };

/** A number with a fraction or an exponent, such as 5e-5. */
export const numberFlag = Flags.custom<number, NumberRange>({
  parse: async (input, _context, { min, max }) => {
    const value = input.trim() === '' ? Number.NaN : Number(input);
    if (!Number.isFinite(value)) throw new KdxError('invalid-usage', `expected a number, found '${input}'`);
    if (min !== undefined && value < min)
      throw new KdxError('invalid-usage', `expected at least ${min}, found ${value}`);
    if (max !== undefined && value > max)
      throw new KdxError('invalid-usage', `expected at most ${max}, found ${value}`);
    return value;
  },
});

/** Where and how graphs are run. */
export const deviceFlags = {
  device: deviceFlag(),
  tf32: Flags.boolean({
    summary: 'On CUDA: float32 products in TensorFloat-32, faster and less exact.',
    helpGroup: 'DEVICE',
  }),
  engine: Flags.option({
    options: ['ort', 'tfjs'] as const,
    default: 'ort' as const,
    summary: 'Executor: ort is ONNX Runtime, tfjs is TensorFlow.js, which has to be installed (plugins/tfjs).',
    helpGroup: 'DEVICE',
  })(),
  threads: Flags.integer({
    min: 1,
    summary: 'Threads of the executor; default: physical cores.',
    helpValue: 'N',
    helpGroup: 'DEVICE',
  }),
};

/** Labelled examples: a GLUE folder, or files with named columns. */
export const dataFlags = {
  data: Flags.string({
    summary: 'Folder with train.tsv and dev.tsv as GLUE distributes them; needs --task.',
    helpValue: 'DIR',
    helpGroup: 'DATA',
  }),
  task: Flags.string({
    summary: 'Task of the folder: sst2, mrpc, rte, cola, stsb, qnli, qqp, mnli or wnli.',
    helpValue: 'NAME',
    helpGroup: 'DATA',
  }),
  train: Flags.string({
    summary: 'In place of --data: training examples, a .tsv, .csv or .jsonl file with named columns.',
    helpValue: 'FILE',
    helpGroup: 'DATA',
  }),
  dev: Flags.string({
    summary: 'In place of --data: examples to measure on, a file like --train.',
    helpValue: 'FILE',
    helpGroup: 'DATA',
  }),
  'text-column': Flags.string({
    summary: 'Column of the text in such files (default: text).',
    helpValue: 'NAME',
    helpGroup: 'DATA',
  }),
  'pair-column': Flags.string({
    summary: 'Column of the second text, when an example is a pair of texts.',
    helpValue: 'NAME',
    helpGroup: 'DATA',
  }),
  'label-column': Flags.string({
    summary: 'Column of the label in such files (default: label).',
    helpValue: 'NAME',
    helpGroup: 'DATA',
  }),
};

const { train: _train, ...withoutTrain } = dataFlags;

/** Labelled examples to measure a model on. */
export const evaluationFlags = {
  ...withoutTrain,
  dev: Flags.string({
    summary: 'In place of --data: labelled examples, a .tsv, .csv or .jsonl file with named columns.',
    helpValue: 'FILE',
    helpGroup: 'DATA',
  }),
};

const maxLength = {
  min: 3,
  summary: 'Longest sequence in tokens; longer text is cut (default 128).',
  helpValue: 'N',
};

export const maxLengthFlag = Flags.integer(maxLength);

/** Options of a training; the recipe holds the defaults. */
export const trainingFlags = {
  epochs: Flags.integer({
    min: 1,
    summary: 'Passes over the training examples (default 3).',
    helpValue: 'N',
    helpGroup: 'TRAINING',
  }),
  lr: numberFlag({ min: 0, summary: 'Peak learning rate (default 5e-5).', helpValue: 'X', helpGroup: 'TRAINING' }),
  batch: Flags.integer({ min: 1, summary: 'Examples per batch (default 32).', helpValue: 'N', helpGroup: 'TRAINING' }),
  'max-length': Flags.integer({ ...maxLength, helpGroup: 'TRAINING' }),
  seed: Flags.integer({
    min: 0,
    summary: 'Seed of everything random (default 42).',
    helpValue: 'N',
    helpGroup: 'TRAINING',
  }),
  recipe: Flags.string({
    summary: 'JSON file with any options of the recipe; plugins/distill/README.md lists them.',
    helpValue: 'FILE',
    helpGroup: 'TRAINING',
  }),
  set: Flags.string({
    multiple: true,
    multipleNonGreedy: true,
    summary: 'One option of the recipe, such as train.warmup=0.2; may be repeated.',
    helpValue: 'KEY=VALUE',
    helpGroup: 'TRAINING',
  }),
};

/** The part of a recipe under `train` that flags were given for. */
export function trainingRecipe(flags: {
  readonly epochs?: number | undefined;
  readonly lr?: number | undefined;
  readonly batch?: number | undefined;
  readonly 'max-length'?: number | undefined;
  readonly seed?: number | undefined;
}): Record<string, number | undefined> {
  const { epochs, lr, batch, seed } = flags;
  return { epochs, lr, batch, maxLength: flags['max-length'], seed };
}

/** Where a run goes. */
export const runFlags = {
  out: Flags.string({
    summary: 'Folder for the run and its result; new or empty.',
    helpValue: 'DIR',
    required: true,
  }),
  resume: Flags.boolean({
    summary: 'Go on with the run in --out where it stopped; all else as at its start.',
  }),
};
