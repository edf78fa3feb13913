/** kdx predict: labels and scores of texts. */
import { addAbortSignal } from 'node:stream';
import { Args, Flags } from '@oclif/core';
import type { Prediction } from '../classifier/index.ts';
import { deviceFlags, KdxCommand, withEngine } from '../cli/index.ts';
import { KdxError } from '../errors/index.ts';
import { lineBatches } from './line-batches.ts';

export interface Predictions {
  readonly model: string;
  readonly predictions: readonly Prediction[];
}

type Text = Pick<Prediction, 'text' | 'pair'>;

export class Predict extends KdxCommand<typeof Predict, Predictions> {
  static override summary = 'Classify texts: the arguments, or each line of standard input.';
  static override description =
    'Prints label, score (the probability of the label; the value itself for regression) and text, separated by tabs. A tab inside a text separates the two texts of a pair.';
  static override examples = [
    {
      description: 'One text:',
      command: '<%= config.bin %> <%= command.id %> --model exported "A film to remember."',
    },
    {
      description: 'One text per line, answered line by line:',
      command: '<%= config.bin %> <%= command.id %> --model teacher < reviews.txt',
    },
    {
      description: 'A pair:',
      command: '<%= config.bin %> <%= command.id %> --model teacher "A man sings." --pair "Somebody is singing."',
    },
  ];
  static override args = {
    text: Args.string({ multiple: true, ignoreStdin: true, description: 'Texts to classify.' }),
  };
  static override flags = {
    model: Flags.string({
      summary: 'Checkpoint folder, hub id, exported folder, or ONNX file.',
      helpValue: 'DIR|FILE',
      required: true,
    }),
    pair: Flags.string({ summary: 'Second text, for a model of pairs.', helpValue: 'TEXT' }),
    ...deviceFlags,
  };

  protected override async execute(): Promise<Predictions> {
    const { flags } = this;
    const given = this.#arguments();
    const { openClassifier, openSource, predict, tunedOptions } = await import('../classifier/index.ts');
    const source = await openSource(flags.model);
    return withEngine({ ...flags, config: this.config }, async (engine) => {
      const classifier = await openClassifier(source, engine, await tunedOptions(source, engine, flags.threads));
      const predictions: Prediction[] = [];
      for await (const texts of given.length > 0 ? [given] : this.#lines()) {
        this.signal.throwIfAborted();
        const answers = await predict(classifier, texts);
        predictions.push(...answers);
        if (!this.jsonEnabled()) process.stdout.write(answers.map(print).join(''));
      }
      if (predictions.length === 0) throw nothingToDo(flags.model);
      return { model: flags.model, predictions };
    });
  }

  /** Answers are printed as they come. */
  protected override render(): string {
    return '';
  }

  #arguments(): Text[] {
    const texts = (this.args.text ?? []).map((text, i) => pairOf(text, `text ${i + 1}`));
    const { pair } = this.flags;
    if (pair === undefined) return texts;
    const [first] = texts;
    if (first === undefined || texts.length > 1 || first.pair !== undefined)
      throw new KdxError('invalid-usage', `--pair is the second text of one, found ${texts.length} texts`, {
        suggestions: ['several pairs: one per line on standard input, the two texts separated by a tab'],
      });
    return [{ ...first, pair }];
  }

  async *#lines(): AsyncGenerator<Text[]> {
    if (process.stdin.isTTY) this.progress.message('one text per line; Ctrl-D ends');
    let count = 0;
    for await (const lines of lineBatches(addAbortSignal(this.signal, process.stdin)))
      yield lines.map((line) => pairOf(line, `line ${++count}`));
  }
}

function pairOf(given: string, where: string): Text {
  const [text = '', pair, ...more] = given.split('\t');
  if (more.length > 0)
    throw new KdxError('invalid-text', `${where} has ${more.length + 1} tabs; one separates the two texts of a pair`);
  return pair === undefined ? { text } : { text, pair };
}

function print({ text, pair, label, score }: Prediction): string {
  return `${[...(label === undefined ? [] : [label]), score.toFixed(4), text, ...(pair === undefined ? [] : [pair])].join('\t')}\n`;
}

function nothingToDo(model: string): KdxError {
  return new KdxError('invalid-usage', 'there is no text, neither as argument nor on standard input', {
    suggestions: [`kdx predict --model ${model} "A film to remember."`],
  });
}
