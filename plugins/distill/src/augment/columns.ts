/** Names of the columns of an augmented file. */
import { extname } from 'node:path';
import { taskNamed, type FileSource, type FolderSource } from 'kdx/data';
import { KdxError } from 'kdx/errors';

export interface ColumnNames {
  readonly text: string;
  readonly pair: string;
  readonly label: string;
}

export const plainColumns: ColumnNames = { text: 'text', pair: 'pair', label: 'label' };

/**
 * The names under which the training file was read, so that its development file fits beside `out`.
 * @throws KdxError `invalid-usage` for a table of a task whose own files have no header (CoLA), `unknown-task`
 */
export function columnsAsRead(source: FolderSource | FileSource, out: string): ColumnNames {
  const file: Partial<FileSource> = 'dir' in source ? {} : source;
  const task = source.task === undefined || source.task === 'custom' ? undefined : taskNamed(source.task);
  const layout = file.textColumn === undefined ? task?.layout : undefined;
  if (layout?.header !== undefined && /^\.(tsv|csv)$/i.test(extname(out)))
    throw new KdxError(
      'invalid-usage',
      `a ${extname(out)} file of ${task?.name} has no header, and no room for origins`,
      {
        suggestions: ['--out with a .jsonl file', 'leave out --keep-columns'],
      },
    );
  return {
    text: file.textColumn ?? layout?.columns.text ?? plainColumns.text,
    pair: file.pairColumn ?? layout?.columns.pair ?? plainColumns.pair,
    label: file.labelColumn ?? layout?.columns.label ?? plainColumns.label,
  };
}
