/** Metrics on resamples of the examples: the same resamples for every model, so that models are compared in pairs. */
import { metrics, type MetricName } from './metrics.ts';
import { randomStream } from './random.ts';

type Numbers = ArrayLike<number>;

export interface ResampleOptions {
  readonly seed: number;
  readonly resamples: number;
}

/** A resample as examples in the order drawn, and as how often each was drawn. */
interface Resample {
  readonly drawn: Uint32Array;
  readonly counts: Uint32Array;
}

type Score = (resample: Resample) => number;

/**
 * The metric of each model on each resample of the examples (Efron's bootstrap: as many as there are, drawn with
 * replacement).
 * @param predictions for each model, one per example: label ids, or values for correlations
 * @param labels at least one
 * @returns for each model, one metric per resample
 */
export function resampledMetrics(
  metric: MetricName,
  predictions: readonly Numbers[],
  labels: Numbers,
  { seed, resamples }: ResampleOptions,
): Float64Array[] {
  const count = labels.length;
  const random = randomStream(seed, 'dev examples');
  const scores = predictions.map((values) => scoreOf(metric, values, labels));
  const results = predictions.map(() => new Float64Array(resamples));
  const drawn = new Uint32Array(count);
  const counts = new Uint32Array(count);
  for (let r = 0; r < resamples; r++) {
    counts.fill(0);
    for (let i = 0; i < count; i++) {
      const example = random.int(count);
      drawn[i] = example;
      counts[example] = (counts[example] as number) + 1;
    }
    scores.forEach((score, model) => ((results[model] as Float64Array)[r] = score({ drawn, counts })));
  }
  return results;
}

function scoreOf(metric: MetricName, predictions: Numbers, labels: Numbers): Score {
  switch (metric) {
    case 'accuracy':
      return accuracyScore(predictions, labels);
    case 'spearman':
      return spearmanScore(predictions, labels);
    case 'pearson_spearman': {
      const parts = [scoreOf('pearson', predictions, labels), spearmanScore(predictions, labels)] as const;
      return (resample) => (parts[0](resample) + parts[1](resample)) / 2;
    }
    default:
      return ({ drawn }) => metrics[metric](gather(predictions, drawn), gather(labels, drawn));
  }
}

/** Only the wrong answers are counted. */
function accuracyScore(predictions: Numbers, labels: Numbers): Score {
  const wrong = Array.from({ length: labels.length }, (_, i) => i).filter((i) => predictions[i] !== labels[i]);
  return ({ counts }) => 1 - wrong.reduce((sum, i) => sum + (counts[i] as number), 0) / labels.length;
}

/** Pearson's correlation of ranks within the resample. */
function spearmanScore(predictions: Numbers, labels: Numbers): Score {
  const [ranksX, ranksY] = [ranker(predictions), ranker(labels)];
  return ({ drawn, counts }) => metrics.pearson(gather(ranksX(counts), drawn), gather(ranksY(counts), drawn));
}

/** The values are sorted once; each resample then takes one pass. Equal values share their average rank. */
function ranker(values: Numbers): (counts: Uint32Array) => Float64Array {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i);
  order.sort((a, b) => (values[a] as number) - (values[b] as number));
  const ranks = new Float64Array(values.length);
  return (counts) => {
    let below = 0;
    for (let start = 0; start < order.length;) {
      let end = start;
      let equal = 0;
      // NaN equals nothing: the first value is taken without being compared, as in `ranks`.
      do equal += counts[order[end++] as number] as number;
      while (end < order.length && values[order[end] as number] === values[order[start] as number]);
      for (let i = start; i < end; i++) ranks[order[i] as number] = below + (equal + 1) / 2;
      below += equal;
      start = end;
    }
    return ranks;
  };
}

function gather(values: Numbers, drawn: Uint32Array): Float64Array {
  const taken = new Float64Array(drawn.length);
  for (let i = 0; i < drawn.length; i++) taken[i] = values[drawn[i] as number] as number;
  return taken;
}
