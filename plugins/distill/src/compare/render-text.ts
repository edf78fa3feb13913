/** A comparison for a terminal, 80 columns wide. */
import { renderTable, wrap } from 'kdx/cli';
import { fractionTables, fractionTitle, verdicts } from './report-tables.ts';
import { legend } from './legend.ts';
import type { CompareReport } from './report.ts';

const width = 80;

export function renderText(report: CompareReport): string {
  const sections = report.fractions.flatMap((fraction, index) => [
    fractionTitle(fraction),
    ...fractionTables(report, index).map(({ columns, rows }) => {
      const titles = columns.map((title, j) => ({ title, align: j === 0 ? ('left' as const) : ('right' as const) }));
      const cells = rows.map((row) => row.map(({ text }) => text));
      return renderTable(titles, cells, { width });
    }),
    paragraphs(verdicts(fraction)),
  ]);
  const end = [paragraphs(legend(report)), paragraphs(report.notes)];
  return `${[...sections, ...end].filter((text) => text !== '').join('\n\n')}\n`;
}

/** The later lines of a paragraph are indented. */
function paragraphs(texts: readonly string[]): string {
  return texts.flatMap((text) => wrap(text, width - 2).map((line, i) => (i === 0 ? line : `  ${line}`))).join('\n');
}
