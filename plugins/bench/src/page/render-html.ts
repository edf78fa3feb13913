/** A bench report as one HTML file: no script, nothing loaded from anywhere, plots as SVG. */
import {
  escapeHtml,
  htmlDefinitions,
  htmlFigures,
  htmlList,
  htmlPage,
  htmlTable,
  type Plot,
  type ReportTable,
} from 'kdx/page';
import { shellText } from 'kdx/recipe';
import type { BenchReport } from '../report.ts';
import { baselineNotes, baselineTable } from './baseline-table.ts';
import { environmentFacts, modelFacts } from './environment-facts.ts';
import { gridPlot } from './grid-plot.ts';
import { gridTables } from './grid-table.ts';
import { importedSections } from './imported-table.ts';
import { boxPlot, cumulativePlot, speedPlot } from './latency-plots.ts';
import { legend } from './legend.ts';
import { seriesLegend } from './model-series.ts';
import { modelTables, startTable } from './model-table.ts';
import { benchStyle } from './page-style.ts';
import { pairTable } from './pair-table.ts';
import { sizePlot } from './size-plot.ts';
import { invalidity, partialText, reportNotes, reportTitle, scenarioText, studentSentences } from './statements.ts';
import { tradeoffPlots } from './tradeoff-plots.ts';

/** The same bytes for the same report. */
export async function renderHtml(report: BenchReport): Promise<string> {
  const speeds = speedPlot(report);
  const plots = [boxPlot(report), cumulativePlot(report), ...(speeds ? [speeds] : []), sizePlot(report)];
  const grid = gridPlot(report);
  const sections = [
    paragraph('invalid', report.control.valid ? '' : invalidity),
    paragraph('partial', report.partial ? partialText : ''),
    paragraph('scenario', scenarioText(report.scenario)),
    `<div class="claims">${htmlList(studentSentences(report))}</div>`,
    ...modelTables(report).map(table),
    table(baselineTable(report)),
    htmlList(baselineNotes(report)),
    seriesLegend(report),
    await htmlFigures([...plots, ...tradeoffPlots(report)]),
    grid === null ? '' : await gridSection(report, grid),
    details('Start-up and every two models', [startTable(report), pairTable(report)].map(table)),
    ...importedHtml(report),
    '<h2>How sure this is</h2>',
    htmlList(reportNotes(report)),
    '<h2>What the columns mean</h2>',
    htmlList(legend(report)),
    '<h2>Where it ran</h2>',
    htmlDefinitions(environmentFacts(report)),
    '<h3>Models</h3>',
    htmlDefinitions(modelFacts(report)),
    repetition(report),
  ];
  const body = sections.filter((section) => section !== '').join('\n');
  return htmlPage({ title: reportTitle(report), body, style: benchStyle });
}

async function gridSection(report: BenchReport, plot: Plot): Promise<string> {
  return ['<h2>Grid</h2>', ...gridTables(report).map(table), seriesLegend(report), await htmlFigures([plot])].join(
    '\n',
  );
}

function importedHtml(report: BenchReport): string[] {
  return importedSections(report).flatMap(({ title, device, tables, notes }) => [
    `<h2>${escapeHtml(title)}</h2>`,
    paragraph('scenario', device),
    ...tables.map(table),
    htmlList(notes),
  ]);
}

/** Empty for a table without rows. */
function table(content: ReportTable): string {
  return content.rows.length === 0 ? '' : htmlTable(content);
}

function details(summary: string, parts: readonly string[]): string {
  const content = parts.filter((part) => part !== '');
  if (content.length === 0) return '';
  return `<details><summary><h2>${escapeHtml(summary)}</h2></summary>\n${content.join('\n')}</details>`;
}

function paragraph(kind: string, text: string): string {
  return text === '' ? '' : `<p class="${kind}">${escapeHtml(text)}</p>`;
}

function repetition({ command }: BenchReport): string {
  return command === undefined ? '' : `<h2>Repeat it</h2>\n<pre>${escapeHtml(shellText(command))}</pre>`;
}
