/** kdx augment: a training file with variants of every example. */
import { Flags } from '@oclif/core';
import { dataFlags, dataSource, deviceFlags, formatCount, KdxCommand, numberFlag, withEngine } from 'kdx/cli';
import { KdxError } from 'kdx/errors';
import type { AugmentResult } from '../augment/index.ts';

const kinds: Readonly<Record<AugmentResult['candidates'], string>> = {
  'masked-lm': 'the masked language model',
  embeddings: 'the nearest word embeddings of the model, which has no masked-language-model head',
  vectors: 'the nearest word vectors, as the model has no masked-language-model head',
};

/** Flags that only one method reads. */
const methodOf = { probability: 'tinybert', 'eda-alpha': 'eda' } as const;

export class Augment extends KdxCommand<typeof Augment, AugmentResult> {
  static override summary = 'Write a training file with variants of every example.';
  static override description = `A variant is an example with some of its words replaced (TinyBERT) or replaced, inserted, swapped and deleted (EDA); it has the label of its example. Words come from a masked language model, that is a pretrained BERT (--model) with its head; words of several pieces come from --vectors, if they are given. A model without that head gives the words nearest in its embeddings, or in --vectors.

The file holds every example as written, followed by its variants, so it replaces the training file: give it to other commands as --train. Columns: text, pair, label, origin (original or the method), source (place of the example in the training file, from 0).

TinyBERT's code makes 20 variants for SST-2 and QNLI, 10 for MNLI and QQP, 30 for CoLA, MRPC, RTE and STS-B; its paper 20 for all.

A run can be stopped at any time; the same command with --resume goes on where it was, to the same file. Until it is done, the rows are in FILE.partial.`;
  static override examples = [
    {
      description: 'SST-2 with the words that a pretrained BERT expects:',
      command:
        '<%= config.bin %> <%= command.id %> --model google-bert/bert-base-uncased --data SST-2 --task sst2 --out augmented.jsonl',
    },
    {
      description:
        'Under the column names of the task, for kdx distill --task sst2 --train augmented.jsonl --dev dev.tsv:',
      command:
        '<%= config.bin %> <%= command.id %> --model google-bert/bert-base-uncased --vectors glove.840B.300d.txt --data SST-2 --task sst2 --keep-columns --out augmented.jsonl',
    },
    {
      description: 'Your own file, by EDA with four variants per text:',
      command:
        '<%= config.bin %> <%= command.id %> --model org/name --train train.csv --text-column review --label-column stars --method eda -n 4 --out augmented.csv',
    },
  ];
  static override flags = {
    model: Flags.string({
      summary: 'Pretrained BERT with its masked-language-model head, or another BERT: checkpoint folder, or hub id.',
      helpValue: 'DIR',
      required: true,
    }),
    out: Flags.string({
      summary: 'File to write: .jsonl, .tsv or .csv. An existing file is refused.',
      helpValue: 'FILE',
      required: true,
    }),
    resume: Flags.boolean({ summary: 'Go on with the unfinished rows in FILE.partial; all else as at their start.' }),
    ...dataFlags,
    dev: Flags.string({
      summary: 'Not read; taken so that the flags of other commands fit.',
      helpValue: 'FILE',
      helpGroup: 'DATA',
    }),
    regression: Flags.boolean({
      summary: 'With --train: the label is a number to predict, not a class.',
      helpGroup: 'DATA',
    }),
    'keep-columns': Flags.boolean({
      summary: 'Name the columns as in the training file or the task, in place of text, pair and label.',
      helpGroup: 'DATA',
    }),
    method: Flags.option({
      options: ['tinybert', 'eda'] as const,
      default: 'tinybert' as const,
      summary: 'How variants are made.',
      helpGroup: 'VARIANTS',
    })(),
    variants: Flags.integer({
      char: 'n',
      min: 1,
      summary: 'Variants per text at most; equal ones are left out (default 20, with eda 9).',
      helpValue: 'N',
      helpGroup: 'VARIANTS',
    }),
    probability: numberFlag({
      min: 0,
      max: 1,
      summary: 'tinybert: probability of replacing a word that has candidates (default 0.4).',
      helpValue: 'P',
      helpGroup: 'VARIANTS',
    }),
    'eda-alpha': numberFlag({
      min: 0,
      max: 1,
      summary: 'eda: share of words that one operation changes (default 0.1).',
      helpValue: 'X',
      helpGroup: 'VARIANTS',
    }),
    seed: Flags.integer({
      min: 0,
      summary: 'Seed of the draws (default 42).',
      helpValue: 'N',
      helpGroup: 'VARIANTS',
    }),
    candidates: Flags.integer({
      min: 1,
      summary: 'Candidates per word at most (default 15).',
      helpValue: 'K',
      helpGroup: 'WORDS',
    }),
    eligible: Flags.option({
      options: ['letters', 'words', 'all'] as const,
      summary:
        'Words that may be replaced: letters (a to z, no stop word; default), words (letters of any script, no stop word), all (stop words and numbers too).',
      helpGroup: 'WORDS',
    })(),
    'stop-words': Flags.string({
      summary: 'Words that are never replaced, one per line, in place of the English function words.',
      helpValue: 'FILE',
      helpGroup: 'WORDS',
    }),
    visible: Flags.option({
      options: ['original', 'masked-only'] as const,
      summary:
        "What the masked language model sees: the original sentence beside the masked one (default, as TinyBERT's code), or not (Algorithm 1 of its paper).",
      helpGroup: 'WORDS',
    })(),
    vectors: Flags.string({
      summary: 'Word vectors in the text format of GloVe or fastText.',
      helpValue: 'FILE',
      helpGroup: 'WORDS',
    }),
    'vectors-limit': Flags.integer({
      min: 1,
      summary: 'Rows of that file that are read (default 100000).',
      helpValue: 'N',
      helpGroup: 'WORDS',
    }),
    batch: Flags.integer({
      min: 1,
      summary: 'Sequences per run of the masked language model (default 32).',
      helpValue: 'N',
      helpGroup: 'DEVICE',
    }),
    ...deviceFlags,
  };

  protected override async execute(): Promise<AugmentResult> {
    const { flags } = this;
    for (const [flag, method] of Object.entries(methodOf))
      if (flags[flag as keyof typeof methodOf] !== undefined && flags.method !== method)
        throw new KdxError('invalid-usage', `--${flag} is for --method ${method}, the method is ${flags.method}`, {
          suggestions: [`--method ${method}`, `leave out --${flag}`],
        });
    const [{ loadTaskData }, { augment, columnsAsRead, defaultRecipe, defaultVariants }] = await Promise.all([
      import('kdx/data'),
      import('../augment/index.ts'),
    ]);
    const source = dataSource({ ...flags, dev: flags.dev ?? flags.train });
    const columns = flags['keep-columns'] ? columnsAsRead(source, flags.out) : undefined;
    const data = await loadTaskData(source, { splits: ['train'] });
    for (const warning of data.warnings) this.progress.message(`warning: ${warning}`);
    const { method } = flags;
    return withEngine({ ...flags, config: this.config }, (engine) => {
      this.progress.message(`device: ${engine.device.description} (${engine.device.reason})`);
      return augment({
        model: flags.model,
        data,
        out: flags.out,
        recipe: {
          method,
          variants: flags.variants ?? defaultVariants[method],
          candidates: flags.candidates ?? defaultRecipe.candidates,
          probability: flags.probability ?? defaultRecipe.probability,
          edaAlpha: flags['eda-alpha'] ?? defaultRecipe.edaAlpha,
          eligible: flags.eligible ?? defaultRecipe.eligible,
          visible: flags.visible ?? defaultRecipe.visible,
          vectorsLimit: flags['vectors-limit'] ?? defaultRecipe.vectorsLimit,
          batch: flags.batch ?? defaultRecipe.batch,
          seed: flags.seed ?? defaultRecipe.seed,
        },
        vectors: flags.vectors,
        stopWords: flags['stop-words'],
        columns,
        resume: flags.resume,
        engine,
        progress: this.progress,
        signal: this.signal,
      });
    });
  }

  protected override render({ out, rows, examples, candidates, withoutVariants }: AugmentResult): string {
    return [
      `${out}: ${formatCount(rows)} rows of ${formatCount(examples)} examples, words from ${kinds[candidates]}`,
      ...(withoutVariants > 0 ? [`${withoutVariants} examples have no variant`] : []),
    ].join('\n');
  }
}
