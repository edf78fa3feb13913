/** The tables of a comparison for documents. */
import { legend } from './legend.ts';
import { fractionTables, fractionTitle, verdicts, type ReportTable } from './report-tables.ts';
import type { CompareReport } from './report.ts';

export function renderMarkdown(report: CompareReport): string {
  const sections = report.fractions.flatMap((fraction, index) => [
    `### ${escape(`${report.task.name}, ${fractionTitle(fraction)}`)}`,
    ...fractionTables(report, index).map(table),
    list(verdicts(fraction)),
  ]);
  const commands = report.commands.flatMap((command) => command.split('\n')).map((line) => `    ${line}`);
  const texts = [...sections, list(legend(report)), list(report.notes), commands.join('\n')];
  return `${texts.filter((text) => text !== '').join('\n\n')}\n`;
}

/** Padded, so that the source can be read, too. */
function table({ columns, rows }: ReportTable): string {
  const cells = [columns, ...rows.map((row) => row.map(({ text }) => text))].map((row) => row.map(escape));
  const widths = columns.map((_, j) => Math.max(4, ...cells.map((row) => row[j]!.length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((text, j) => (j === 0 ? text.padEnd(widths[j]!) : text.padStart(widths[j]!))).join(' | ')} |`;
  const rule = `| ${widths.map((w, j) => (j === 0 ? '-'.repeat(w) : `${'-'.repeat(w - 1)}:`)).join(' | ')} |`;
  return [line(cells[0]!), rule, ...cells.slice(1).map(line)].join('\n');
}

function list(texts: readonly string[]): string {
  return texts.map((text) => `- ${escape(text)}`).join('\n');
}

function escape(text: string): string {
  return text.replace(/[\\|<>*_`]/g, (character) => `\\${character}`);
}
