/** The tables of a comparison for documents. */
import { escapeMarkdown, markdownCode, markdownList, markdownTable } from 'kdx/page';
import { legend } from './legend.ts';
import { fractionTables, fractionTitle, verdicts } from './report-tables.ts';
import type { CompareReport } from './report.ts';

export function renderMarkdown(report: CompareReport): string {
  const sections = report.fractions.flatMap((fraction, index) => [
    `### ${escapeMarkdown(`${report.task.name}, ${fractionTitle(fraction)}`)}`,
    ...fractionTables(report, index).map(markdownTable),
    markdownList(verdicts(fraction)),
  ]);
  const commands = report.commands.flatMap((command) => command.split('\n'));
  const texts = [...sections, markdownList(legend(report)), markdownList(report.notes), markdownCode(commands)];
  return `${texts.filter((text) => text !== '').join('\n\n')}\n`;
}
