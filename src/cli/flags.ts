/** Flags that several commands share. Where a recipe holds the default, the flag has none: undefined means not given. */
import { Flags } from '@oclif/core';
import { KdxError } from '../errors/index.ts';

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
  device: Flags.option({
    options: ['auto', 'cpu', 'cuda', 'webgpu'] as const,
    default: 'auto' as const,
    summary: 'Device to run on; auto takes the best one found.',
  })(),
  engine: Flags.option({
    options: ['ort'] as const,
    default: 'ort' as const,
    summary: 'Executor: ort is ONNX Runtime.',
  })(),
  threads: Flags.integer({ min: 1, summary: 'Threads of the executor; default: physical cores.', helpValue: 'N' }),
};

/** Labelled examples: a GLUE folder, or files with named columns. */
export const dataFlags = {
  data: Flags.string({ summary: 'Folder of a GLUE task, with train.tsv and dev.tsv.', helpValue: 'DIR' }),
  task: Flags.string({ summary: 'Task, such as sst2; fixes columns, labels and the metric.', helpValue: 'NAME' }),
  train: Flags.string({ summary: 'Training examples: TSV, CSV or JSONL with named columns.', helpValue: 'FILE' }),
  dev: Flags.string({ summary: 'Evaluation examples, as --train.', helpValue: 'FILE' }),
  'text-column': Flags.string({ summary: 'Column of the sentence.', helpValue: 'NAME' }),
  'pair-column': Flags.string({ summary: 'Column of the second sentence of a pair.', helpValue: 'NAME' }),
  'label-column': Flags.string({ summary: 'Column of the label.', helpValue: 'NAME' }),
};

export const maxLengthFlag = Flags.integer({
  min: 3,
  summary: 'Longest sequence in tokens; longer text is cut.',
  helpValue: 'N',
});
export const batchFlag = Flags.integer({ min: 1, summary: 'Examples per batch.', helpValue: 'N' });
export const seedFlag = Flags.integer({ min: 0, summary: 'Seed of everything random.', helpValue: 'N' });
export const limitFlag = Flags.integer({ min: 1, summary: 'Use only the first N examples.', helpValue: 'N' });
export const resumeFlag = Flags.boolean({ summary: 'Go on with the run in --out where it stopped.' });
