/** The parity gate: does an exported file answer like the checkpoint that it came from? */
import type { Checkpoint } from 'kdx/checkpoint';
import { computeLogits, type Classifier, type ClassifierSource, type LogitsOptions } from 'kdx/classifier';
import { argmaxRows, encodeExamples, type Example } from 'kdx/data';
import type { Engine } from 'kdx/engine';
import { internal, KdxError } from 'kdx/errors';
import type { Tensor } from 'kdx/graph';
import { openReference } from './reference.ts';

export interface Parity {
  readonly sentences: number;
  /** Over all logits of all sentences. */
  readonly maxAbsDifference: number;
  readonly rmsDifference: number;
  /** Share of sentences whose largest logit is at the same place. */
  readonly agreement: number;
  readonly tolerance: number;
}

type Text = Pick<Example, 'text' | 'pair'>;
type LogitsProgress = Pick<LogitsOptions, 'progress' | 'signal' | 'label' | 'batch'>;

/** Rows per run. Few, as one long text makes all of them long; different ones, so that padding differs too. */
const [referenceBatch, exportedBatch] = [6, 4];

/** Logits of a checkpoint by its reference. float32 [examples, labels] */
export async function referenceLogits(
  source: ClassifierSource & { readonly checkpoint: Checkpoint },
  texts: readonly Text[],
  { engine, ...options }: LogitsProgress & { readonly engine: Engine },
): Promise<Tensor<'float32'>> {
  const { maxPositions: maxLength, labels } = source.config;
  const reference = await openReference(source.checkpoint, engine);
  try {
    return await computeLogits(reference.run, encodeExamples(source.tokenizer, numbered(texts), maxLength), {
      labels: labels.length,
      batch: referenceBatch,
      maxLength,
      label: 'logits of the checkpoint',
      ...options,
    });
  } finally {
    await reference.release();
  }
}

/** Logits of an exported file, with the tokenizer of its folder. float32 [examples, labels] */
export function exportedLogits(
  classifier: Pick<Classifier, 'source' | 'maxLength' | 'logits'>,
  texts: readonly Text[],
  options: LogitsProgress,
): Promise<Tensor<'float32'>> {
  const examples = encodeExamples(classifier.source.tokenizer, numbered(texts), classifier.maxLength);
  return classifier.logits(examples, { batch: exportedBatch, label: 'logits of the exported file', ...options });
}

function numbered(texts: readonly Text[]): Example[] {
  return texts.map(({ text, pair }, id) => ({ id, text, ...(pair !== undefined && { pair }), label: 0 }));
}

/**
 * Compares logits of the same texts, [texts, labels].
 * @param runtime for the message
 * @throws KdxError `parity-failed`: a difference above the tolerance (or one that is no number), or another label
 */
export function checkParity(
  texts: readonly Text[],
  expected: Tensor<'float32'>,
  found: Tensor<'float32'>,
  tolerance: number,
  runtime?: string,
): Parity {
  const labels = expected.dims[1] as number;
  if (texts.length === 0 || found.dims.join() !== expected.dims.join())
    throw internal(`logits [${found.dims.join()}] compared with [${expected.dims.join()}]`);
  const differences = Array.from(expected.data, (value, i) => Math.abs(value - (found.data[i] as number)));
  const bad = differences.findIndex((difference) => !Number.isFinite(difference));
  const max = bad >= 0 ? Infinity : differences.reduce((a, b) => Math.max(a, b), 0);
  const worst = bad >= 0 ? bad : differences.indexOf(max);
  const [best, other] = [argmaxRows(expected.data, labels), argmaxRows(found.data, labels)];
  const same = best.filter((label, i) => label === other[i]).length;
  const parity: Parity = {
    sentences: texts.length,
    maxAbsDifference: max,
    rmsDifference: Math.sqrt(differences.reduce((sum, difference) => sum + difference ** 2, 0) / differences.length),
    agreement: same / texts.length,
    tolerance,
  };
  if (max <= tolerance && same === texts.length) return parity;
  const text = JSON.stringify(texts[Math.floor(worst / labels)]?.text.slice(0, 60));
  const where = runtime === undefined ? '' : ` on ${runtime}`;
  throw new KdxError(
    'parity-failed',
    `the exported model answers otherwise than its checkpoint${where}, so it was not written: logits differ by up to ` +
      `${max.toPrecision(3)} (allowed ${tolerance}), most for ${text}; ${same} of ${texts.length} labels are the same`,
    {
      suggestions: [
        'please report it, with the checkpoint and the output of "kdx doctor --json"',
        ...(runtime === undefined ? [] : ['--runtimes node leaves this runtime out']),
      ],
      exitCode: 1,
    },
  );
}
