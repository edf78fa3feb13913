/** Tables for a terminal. */

export interface Column {
  readonly title: string;
  /** Default: right when every cell is a number or starts like one. */
  readonly align?: 'left' | 'right';
}

export interface TableOptions {
  /** Characters per line; default 80. */
  readonly width?: number;
}

type Cell = string | number;

const gap = '  ';
const smallestText = 10;

/**
 * Rows under titles. What does not fit is shortened in the text columns first; then the columns are put into several
 * tables below one another, each beginning with the first column.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  options: TableOptions = {},
): string {
  const width = options.width ?? 80;
  const cells = rows.map((row) => columns.map((_, j) => String(row[j] ?? '')));
  const right = columns.map((column, j) => (column.align ?? alignment(cells, j)) === 'right');
  const natural = columns.map((column, j) => Math.max(column.title.length, ...cells.map((row) => row[j]!.length)));
  const widths = shrink(natural, right, width);
  const render = (selected: readonly number[]): string => {
    const line = (texts: readonly string[]) =>
      selected
        .map((j) => (right[j] ? texts[j]!.padStart(widths[j]!) : shorten(texts[j]!, widths[j]!).padEnd(widths[j]!)))
        .join(gap)
        .trimEnd();
    const rule = selected.map((j) => '-'.repeat(widths[j]!)).join(gap);
    return [line(columns.map((column) => column.title)), rule, ...cells.map(line)].join('\n');
  };
  return split(widths, width).map(render).join('\n\n');
}

function alignment(cells: readonly (readonly string[])[], j: number): 'left' | 'right' {
  return cells.length > 0 && cells.every((row) => /^([-+±]?[\d.]|[-–]?$|n\/a$)/.test(row[j]!)) ? 'right' : 'left';
}

/** Takes what is too much from the widest text columns, down to a readable rest. */
function shrink(natural: readonly number[], right: readonly boolean[], width: number): number[] {
  const widths = [...natural];
  for (let excess = total(widths) - width; excess > 0; excess--) {
    let widest = -1;
    widths.forEach((w, j) => {
      if (!right[j] && w > smallestText && (widest < 0 || w > widths[widest]!)) widest = j;
    });
    if (widest < 0) break;
    widths[widest]!--;
  }
  return widths;
}

/** Column indices of each table, so that each is at most `width` wide. */
function split(widths: readonly number[], width: number): number[][] {
  const tables: number[][] = [[0]];
  for (let j = 1; j < widths.length; j++) {
    const current = tables.at(-1)!;
    const wide = total([...current, j].map((k) => widths[k]!)) > width;
    if (wide && current.length > 1) tables.push([0, j]);
    else current.push(j);
  }
  return tables;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, w) => sum + w, 0) + gap.length * (widths.length - 1);
}

function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}
