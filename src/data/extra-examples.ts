/** Examples made from others (augmented, back-translated): they join the training set with their origin. */
import { KdxError } from '../errors/index.ts';
import { labelReader, describeLabels } from './labels.ts';
import { throwProblems, type Problem } from './problems.ts';
import { readTable, type Row } from './table.ts';
import type { Example } from './task-data.ts';
import type { Task } from './tasks.ts';

export interface ExtraExample extends Example {
  /** How it was made; `original` for a row that is in the training set already. */
  readonly origin: string;
  /** `id` of the training example that it was made from, where the file says so. */
  readonly source: number | undefined;
}

/**
 * Rows of a .tsv, .csv or .jsonl file with the columns text, pair (for tasks on pairs) and label, and if it has them
 * origin and source, as `kdx augment` writes them.
 * @throws KdxError with up to ten problems at once: `missing-column`, `unknown-label`, `empty-text`, `invalid-source`
 */
export async function loadExtraExamples(path: string, task: Task): Promise<ExtraExample[]> {
  const wanted = task.pair ? ['text', 'label', 'pair'] : ['text', 'label'];
  const problems: Problem[] = [];
  const rows = await readTable({ path, columns: wanted }, problems);
  throwProblems(problems);
  const [origins, sources] = [await optionalColumn(path, 'origin'), await optionalColumn(path, 'source')];
  const labelOf = labelReader(task);
  const examples = rows.flatMap(({ line, values }, id): ExtraExample[] => {
    const [text, cell, pair] = values as [string, string, string?];
    const where = `${path}:${line}`;
    const label = labelOf(cell);
    const sourceText = sources?.[id]?.values[0];
    const source = sourceText === undefined || sourceText === '' ? undefined : Number(sourceText);
    if (text.trim() === '' || pair?.trim() === '')
      problems.push({
        code: 'empty-text',
        where,
        message: text.trim() === '' ? 'the text is empty' : 'the second text is empty',
      });
    else if (label === undefined)
      problems.push({ code: 'unknown-label', where, message: `label "${cell}" is not ${describeLabels(task)}` });
    else if (source !== undefined && !(Number.isInteger(source) && source >= 0))
      problems.push({ code: 'invalid-source', where, message: `source "${sourceText}" is not a row number from 0` });
    else
      return [
        {
          id,
          text,
          ...(pair === undefined ? {} : { pair }),
          label,
          source,
          origin: origins?.[id]?.values[0] ?? 'extra',
        },
      ];
    return [];
  });
  throwProblems(problems);
  return examples;
}

/** @throws KdxError where only some rows have it, or two columns have this name */
async function optionalColumn(path: string, column: string): Promise<readonly Row[] | undefined> {
  const problems: Problem[] = [];
  const rows = await readTable({ path, columns: [column] }, problems);
  if (rows.length === 0 && problems.every(({ code }) => code === 'missing-column')) return undefined;
  throwProblems(problems);
  return rows;
}

export interface ExtraFile {
  readonly path: string;
  readonly rows: readonly ExtraExample[];
}

/**
 * A training set with the examples made from it: rows of origin `original` are in it already, and rows made from an
 * example that is not in it are left out, so that a part of the data stays a part of the data.
 * @param isWhole whether `train` is the whole training set; otherwise every extra row must say its source
 * @throws KdxError `unknown-source`
 */
export function withExtraExamples(
  train: readonly Example[],
  files: readonly ExtraFile[],
  isWhole: boolean,
): readonly Example[] {
  const ids = new Set(train.map(({ id }) => id));
  const kept = files.flatMap(({ path, rows }) => {
    const made = rows.filter(({ origin }) => origin !== 'original');
    if (!isWhole && made.some(({ source }) => source === undefined))
      throw new KdxError('unknown-source', `${path} does not say which training examples its rows were made from`, {
        suggestions: [
          'a column source (row of the training file, from 0), as kdx augment writes it',
          'leave out --limit',
        ],
      });
    return made.filter(({ source }) => source === undefined || ids.has(source));
  });
  const next = train.reduce((most, { id }) => Math.max(most, id), -1) + 1;
  return [
    ...train,
    ...kept.map(({ text, pair, label }, i) => ({ id: next + i, text, ...(pair === undefined ? {} : { pair }), label })),
  ];
}
