/** From the data flags of a command to the examples it means. */
import type { FileSource, FolderSource, Split, TaskData } from '../data/index.ts';
import { KdxError } from '../errors/index.ts';

/** Values of `dataFlags`. */
export interface DataFlagValues {
  readonly data?: string | undefined;
  readonly task?: string | undefined;
  readonly train?: string | undefined;
  readonly dev?: string | undefined;
  readonly 'text-column'?: string | undefined;
  readonly 'pair-column'?: string | undefined;
  readonly 'label-column'?: string | undefined;
  readonly regression?: boolean | undefined;
}

const columnFlags = ['text-column', 'pair-column', 'label-column'] as const;
const examples = ['--data DIR --task sst2', '--train FILE --dev FILE --text-column NAME --label-column NAME'];

/** Whether any data was given. */
export function hasData(flags: DataFlagValues): boolean {
  return flags.data !== undefined || flags.dev !== undefined || flags.train !== undefined;
}

/**
 * A GLUE folder or two files.
 * @param onlyDev the training file may be left out
 * @throws KdxError `invalid-usage`
 */
export function dataSource(flags: DataFlagValues, onlyDev = false): FolderSource | FileSource {
  const { data, task, dev } = flags;
  const fail = (message: string) => new KdxError('invalid-usage', message, { suggestions: examples });
  if (data !== undefined) {
    if (task === undefined) throw fail('--data needs --task, which says how its files are read');
    if (flags.train !== undefined || dev !== undefined) throw fail('--data and --train or --dev exclude each other');
    const column = columnFlags.find((name) => flags[name] !== undefined);
    if (flags.regression) throw fail('--regression is for --train and --dev: the task says what its labels are');
    if (column !== undefined) throw fail(`--${column} is for --train and --dev: the task has columns of its own`);
    return { task, dir: data };
  }
  const train = flags.train ?? (onlyDev ? dev : undefined);
  if (train === undefined || dev === undefined) throw fail('examples are needed');
  const columns = {
    textColumn: flags['text-column'],
    pairColumn: flags['pair-column'],
    labelColumn: flags['label-column'],
  };
  const { regression } = flags;
  const given = Object.fromEntries(
    Object.entries({ task, ...columns, regression }).filter(([, value]) => value !== undefined),
  );
  return { train, dev, ...given };
}

/**
 * Examples for a model that exists: files of one's own have the labels of the model, in its order.
 * @param splits `dev` alone to measure, which needs no training file
 */
export async function loadModelData(
  flags: DataFlagValues,
  model: string,
  splits: readonly Split[] = ['dev'],
): Promise<TaskData> {
  const [{ loadTaskData }, { sourceConfig }] = await Promise.all([
    import('../data/index.ts'),
    import('../classifier/index.ts'),
  ]);
  const source = dataSource(flags, !splits.includes('train'));
  if ('dir' in source || source.task !== undefined) return loadTaskData(source, { splits });
  const { labels, problemType } = await sourceConfig(model);
  const isNamed = labels.some((label) => !/^LABEL_\d+$/.test(label));
  const known = problemType === 'regression' ? { regression: true } : isNamed ? { labels } : {};
  return loadTaskData({ ...source, ...known }, { splits });
}
