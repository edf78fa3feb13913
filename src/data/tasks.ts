/** Tasks: labels in the order of their ids, metrics, and the file layouts of GLUE as distributed. */
import { KdxError, nearest } from '../errors/index.ts';
import type { MetricName } from './metrics.ts';

export interface Columns {
  readonly text: string;
  readonly pair?: string;
  readonly label: string;
}

/** Where a task folder keeps what. */
export interface Layout {
  readonly trainFile: string;
  readonly devFile: string;
  readonly columns: Columns;
  /** Names of the columns of files that have no header line. */
  readonly header?: readonly string[];
  /** The files as distributed contain a few broken rows: leave these out with a warning. */
  readonly skipsBrokenRows?: true;
}

export interface Task {
  readonly name: string;
  readonly kind: 'classification' | 'regression';
  /** Label names in the order of their ids; empty for regression. */
  readonly labels: readonly string[];
  /** Width of the logits: the number of labels, 1 for regression. */
  readonly outputs: number;
  /** Lowest and highest value of a regression label, where the task has one. */
  readonly range?: readonly [number, number];
  /** Whether an example has two texts. */
  readonly pair: boolean;
  /** In the order of reports. */
  readonly metrics: readonly MetricName[];
  /** The one that chooses the best checkpoint and stands for the task in tables. */
  readonly primary: MetricName;
  readonly layout?: Layout;
}

const folder = { trainFile: 'train.tsv', devFile: 'dev.tsv' } as const;

function classes(
  name: string,
  labels: readonly string[],
  metrics: readonly MetricName[],
  columns: Columns,
  more: Partial<Layout> = {},
): Task {
  return {
    name,
    kind: 'classification',
    labels,
    outputs: labels.length,
    pair: columns.pair !== undefined,
    metrics,
    primary: metrics[0] as MetricName,
    layout: { ...folder, columns, ...more },
  };
}

const sentences = { text: 'sentence1', pair: 'sentence2', label: 'label' } as const;

/** Label order is that of the GLUE data sets on the Hugging Face hub. The first metric is the primary one. */
const glue: readonly Task[] = [
  classes('sst2', ['negative', 'positive'], ['accuracy'], { text: 'sentence', label: 'label' }),
  classes('mrpc', ['not_equivalent', 'equivalent'], ['accuracy', 'f1'], {
    text: '#1 String',
    pair: '#2 String',
    label: 'Quality',
  }),
  classes('rte', ['entailment', 'not_entailment'], ['accuracy'], sentences),
  classes(
    'cola',
    ['unacceptable', 'acceptable'],
    ['matthews'],
    { text: 'sentence', label: 'label' },
    { header: ['source', 'label', 'mark', 'sentence'] },
  ),
  {
    name: 'stsb',
    kind: 'regression',
    labels: [],
    outputs: 1,
    range: [0, 5],
    pair: true,
    metrics: ['pearson_spearman', 'pearson', 'spearman'],
    primary: 'pearson_spearman',
    layout: { ...folder, columns: { ...sentences, label: 'score' } },
  },
  classes('qnli', ['entailment', 'not_entailment'], ['accuracy'], {
    text: 'question',
    pair: 'sentence',
    label: 'label',
  }),
  classes(
    'qqp',
    ['not_duplicate', 'duplicate'],
    ['accuracy', 'f1'],
    { text: 'question1', pair: 'question2', label: 'is_duplicate' },
    { skipsBrokenRows: true },
  ),
  classes(
    'mnli',
    ['entailment', 'neutral', 'contradiction'],
    ['accuracy'],
    { ...sentences, label: 'gold_label' },
    { devFile: 'dev_matched.tsv' },
  ),
  classes('wnli', ['not_entailment', 'entailment'], ['accuracy'], sentences),
];

/** Names that `taskNamed` knows. */
export const taskNames: readonly string[] = glue.map((task) => task.name);

/**
 * A GLUE task by name; case, hyphens and underscores do not matter (`SST-2` is `sst2`).
 * @throws KdxError `unknown-task`
 */
export function taskNamed(name: string): Task {
  const plain = name.toLowerCase().replace(/[-_]/g, '');
  const found = glue.find((task) => task.name === plain);
  if (found !== undefined) return found;
  const meant = nearest(plain, taskNames);
  throw new KdxError('unknown-task', `there is no task "${name}": known are ${taskNames.join(', ')}`, {
    suggestions: [
      ...(meant === undefined ? [] : [`--task ${meant}`]),
      'for data of your own, give --train FILE --dev FILE with --text-column and --label-column',
    ],
  });
}

/** A task of the user's own: two labels are also scored by F1 of the second; regression by both correlations. */
export function customTask(options: { labels: readonly string[]; regression: boolean; pair: boolean }): Task {
  const { regression, pair } = options;
  const labels = regression ? [] : options.labels;
  const metrics: readonly MetricName[] = regression
    ? ['pearson_spearman', 'pearson', 'spearman']
    : labels.length === 2
      ? ['accuracy', 'f1']
      : ['accuracy'];
  return {
    name: 'custom',
    kind: regression ? 'regression' : 'classification',
    labels,
    outputs: regression ? 1 : labels.length,
    pair,
    metrics,
    primary: metrics[0] as MetricName,
  };
}
