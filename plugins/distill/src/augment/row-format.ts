/** Augmented rows as lines of a file that `--train` reads. */
import { extname } from 'node:path';
import type { Example, Task } from 'kdx/data';
import { KdxError } from 'kdx/errors';
import { plainColumns, type ColumnNames } from './columns.ts';
import type { AugmentedRow } from './rows.ts';

const addedColumns = ['origin', 'source'] as const;

export interface RowFormat {
  /** The first line, empty for JSON lines. */
  readonly header: string;
  line(row: AugmentedRow): string;
  /** @throws KdxError `unwritable-text` when an example cannot be written in this format */
  check(examples: readonly Example[]): void;
}

type Cell = readonly [name: string, value: string | number];

interface Syntax {
  readonly hasHeader: boolean;
  line(cells: readonly Cell[]): string;
  /** What a cell must not hold. */
  readonly forbidden?: RegExp;
}

const jsonLines: Syntax = { hasHeader: false, line: (cells) => JSON.stringify(Object.fromEntries(cells)) };

const syntaxes: Readonly<Record<string, Syntax>> = {
  '.tsv': { hasHeader: true, line: (cells) => cells.map(([, value]) => value).join('\t'), forbidden: /[\t\n]/ },
  '.csv': { hasHeader: true, line: (cells) => cells.map(([, value]) => quoted(String(value))).join(',') },
  '.jsonl': jsonLines,
  '.ndjson': jsonLines,
};

/**
 * The format that the name of a file asks for.
 * @throws KdxError `unknown-data-format`; `duplicate-column` when a column would have the name of another
 */
export function rowFormat(path: string, task: Task, columns: ColumnNames = plainColumns): RowFormat {
  const syntax = syntaxes[extname(path).toLowerCase()];
  if (syntax === undefined)
    throw new KdxError('unknown-data-format', `${path} is not a ${Object.keys(syntaxes).join(', ')} file`, {
      suggestions: [`--out ${path.slice(0, path.length - extname(path).length)}.jsonl`],
    });
  const texts = task.pair ? [columns.text, columns.pair] : [columns.text];
  const names = [...texts, columns.label, ...addedColumns];
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new KdxError('duplicate-column', `two columns of ${path} would be called "${twice}"`, {
      suggestions: ['leave out --keep-columns'],
    });
  const labelOf = (label: number) => (task.kind === 'regression' ? label : (task.labels[label] as string));
  const cellsOf = ({ text, pair, label, origin, source }: AugmentedRow): Cell[] => {
    const values = [text, ...(task.pair ? [pair ?? ''] : []), labelOf(label), origin, source];
    return names.map((name, i) => [name, values[i] as string | number]);
  };
  const { forbidden } = syntax;
  return {
    header: syntax.hasHeader ? `${syntax.line(names.map((name) => [name, name]))}\n` : '',
    line: (row) => `${syntax.line(cellsOf(row))}\n`,
    check(examples) {
      const isBad = ({ id, label, ...texts }: Example) =>
        cellsOf({ ...texts, label, origin: 'original', source: id }).some(([, value]) =>
          forbidden?.test(String(value)),
        );
      const bad = examples.find(isBad);
      if (bad !== undefined)
        throw new KdxError(
          'unwritable-text',
          `example ${bad.id} holds a tab or a line break, which no cell of ${path} can`,
          {
            suggestions: ['--out with a .jsonl or .csv file'],
          },
        );
    },
  };
}

/** RFC 4180 */
function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
