/** A bench report for a pull request: the tables of the page, what is long folded up. */
import { escapeMarkdown, markdownCode, markdownList, markdownTable, type ReportTable } from 'kdx/page';
import { shellText } from 'kdx/recipe';
import type { BenchReport } from '../report.ts';
import { baselineNotes, baselineTable } from './baseline-table.ts';
import { environmentFacts, modelFacts } from './environment-facts.ts';
import { gridTables } from './grid-table.ts';
import { importedSections } from './imported-table.ts';
import { modelTables, startTable } from './model-table.ts';
import { pairTable } from './pair-table.ts';
import { invalidity, partialText, reportNotes, reportTitle, studentSentences } from './statements.ts';

export function renderMarkdown(report: BenchReport): string {
  const { control, partial, command } = report;
  const facts = [...environmentFacts(report), ...modelFacts(report)].map(([name, value]) => `${name}: ${value}`);
  const texts = [
    `${control.valid ? '###' : '#'} ${escapeMarkdown(reportTitle(report))}`,
    control.valid ? '' : `## ${invalidity}`,
    partial ? `**${partialText}**` : '',
    markdownList(studentSentences(report)),
    ...modelTables(report).map(table),
    markdownList(baselineNotes(report)),
    details('Against the baseline', [titled(baselineTable(report))]),
    details('Grid', gridTables(report).map(titled)),
    details('Start-up and every two models', [startTable(report), pairTable(report)].map(titled)),
    ...importedSections(report).flatMap(({ title, device, tables, notes }) => [
      `#### ${escapeMarkdown(title)}`,
      escapeMarkdown(device),
      ...tables.map(titled),
      markdownList(notes),
    ]),
    details('Control and warnings', [markdownList(reportNotes(report))]),
    details('Environment', [markdownList(facts)]),
    command === undefined ? '' : details('Repeat it', [markdownCode([shellText(command)])]),
  ];
  return `${texts.filter((text) => text !== '').join('\n\n')}\n`;
}

function titled(content: ReportTable): string {
  return content.rows.length === 0 ? '' : `${escapeMarkdown(content.title)}:\n\n${table(content)}`;
}

/** Markdown has no second line in a cell: intervals follow their values. */
function table({ columns, rows }: ReportTable): string {
  return markdownTable({
    columns,
    rows: rows.map((row) => row.map(({ text, note }) => ({ text: note === undefined ? text : `${text} ${note}` }))),
  });
}

function details(summary: string, parts: readonly string[]): string {
  const content = parts.filter((part) => part !== '');
  if (content.length === 0) return '';
  return [`<details><summary>${summary}</summary>`, ...content, '</details>'].join('\n\n');
}
