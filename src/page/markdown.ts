/** Parts of a document as Markdown. Every text is escaped here. */
import type { ReportTable } from './table.ts';

/** Padded, so that the source can be read, too. */
export function markdownTable({ columns, rows }: Pick<ReportTable, 'columns' | 'rows'>): string {
  const cells = [columns, ...rows.map((row) => row.map(({ text }) => text))].map((row) => row.map(escapeMarkdown));
  const widths = columns.map((_, j) => Math.max(4, ...cells.map((row) => row[j]!.length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((text, j) => (j === 0 ? text.padEnd(widths[j]!) : text.padStart(widths[j]!))).join(' | ')} |`;
  const rule = `| ${widths.map((w, j) => (j === 0 ? '-'.repeat(w) : `${'-'.repeat(w - 1)}:`)).join(' | ')} |`;
  return [line(cells[0]!), rule, ...cells.slice(1).map(line)].join('\n');
}

export function markdownList(texts: readonly string[]): string {
  return texts.map((text) => `- ${escapeMarkdown(text)}`).join('\n');
}

/** A text of one line that is neither markup, nor a link, nor the end of a table's cell. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/\s*[\r\n]\s*/g, ' ')
    .replace(/[\\|<>*_`]/g, (character) => `\\${character}`)
    .replace(/\](?=[([:])/g, '\\]');
}

/** Lines as they are: indented, because a fence could be closed by what is in it. */
export function markdownCode(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}`).join('\n');
}
