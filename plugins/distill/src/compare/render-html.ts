/** A comparison as one HTML file: no script, nothing loaded from anywhere, plots as SVG. */
import { formatCount } from 'kdx/cli';
import { escapeHtml, htmlDefinitions, htmlFigures, htmlList, htmlPage, htmlTable, type ReportTable } from 'kdx/page';
import { leaves, type Json } from 'kdx/recipe';
import { legend } from './legend.ts';
import { measuredRows } from './measured-rows.ts';
import { points } from './number-text.ts';
import { reliabilityPlot } from './reliability-plot.ts';
import { fractionTables, fractionTitle, verdicts } from './report-tables.ts';
import type { CompareReport, FractionReport } from './report.ts';
import { differencePlot, metricPlot } from './row-plots.ts';
import { costPlot, fractionPlot } from './series-plots.ts';

/** The same bytes for the same report. */
export async function renderHtml(report: CompareReport): Promise<string> {
  const title = `kdx compare: ${report.task.name}`;
  const sections: string[] = [];
  for (const index of report.fractions.keys()) sections.push(await fractionSection(report, index));
  const body = `${introduction(report)}
${report.fractions.length > 1 ? await htmlFigures([fractionPlot(report)]) : ''}
${sections.join('\n')}
<h2>How sure this is</h2>
${htmlList(report.notes)}
<h2>What the columns mean</h2>
${htmlList(legend(report))}
${settings(report)}
${provenance(report)}`;
  return htmlPage({ title, body });
}

function introduction({ task, teacher, devExamples, finishedCells, plannedCells }: CompareReport): string {
  const labels = task.labels.length === 0 ? task.kind : `${task.labels.length} labels: ${task.labels.join(', ')}`;
  const facts: readonly (readonly [string, string])[] = [
    ['task', `${task.name} (${labels})`],
    ['measured', `${task.primary} and more on ${devExamples} dev examples`],
    [
      'teacher',
      `${teacher.ref}: ${task.primary} ${points(teacher.metrics[task.primary] as number)}, ` +
        (teacher.parameters === null ? 'an ONNX file' : `${formatCount(teacher.parameters)} parameters`),
    ],
    ['trainings', finishedCells === plannedCells ? `${finishedCells}` : `${finishedCells} of ${plannedCells}`],
  ];
  return htmlDefinitions(facts);
}

/** The largest fraction is open, the others are folded up. */
async function fractionSection(report: CompareReport, index: number): Promise<string> {
  const fraction = report.fractions[index] as FractionReport;
  const title = `<h2>${escapeHtml(fractionTitle(fraction))}</h2>`;
  const content = [
    htmlList(verdicts(fraction)),
    ...fractionTables(report, index).map(htmlTable),
    measuredRows(fraction).length === 0 ? '' : await fractionFigures(report, fraction),
  ].join('\n');
  return index === 0
    ? `<section>${title}\n${content}</section>`
    : `<details><summary>${title}</summary>\n${content}</details>`;
}

async function fractionFigures(report: CompareReport, fraction: FractionReport): Promise<string> {
  const differences = report.baselines.map((baseline) => differencePlot(fraction, baseline));
  const main = [metricPlot(report, fraction), ...differences.flatMap((plot) => plot ?? []), costPlot(report, fraction)];
  const models = [{ method: 'teacher', result: report.teacher }, ...measuredRows(fraction)];
  const reliability = models.flatMap(({ method, result: { calibration } }) =>
    calibration ? [reliabilityPlot(method, calibration, report.task.labels.length)] : [],
  );
  if (reliability.length === 0) return htmlFigures(main);
  const explanation = 'Accuracy over confidence by bin; dashed is perfect; the area is the share of the examples.';
  return `${await htmlFigures(main)}\n<h3>Calibration</h3>\n<p>${explanation}</p>\n${await htmlFigures(reliability, 'small ')}`;
}

/** What the recipes of the methods differ in, at the largest fraction. */
function settings({ fractions }: CompareReport): string {
  const measured = fractions[0] ? measuredRows(fractions[0]) : [];
  const recipes = measured.map(({ result }) => leaves(result.recipe));
  const paths = [...new Set(recipes.flatMap((recipe) => [...recipe.keys()]))].sort();
  const differing = paths.filter((path) => new Set(recipes.map((recipe) => show(recipe.get(path)))).size > 1);
  if (differing.length === 0) return '';
  const grid: ReportTable = {
    title: 'Settings that differ',
    columns: ['setting', ...measured.map(({ method }) => method)],
    rows: differing.map((path) => [{ text: path }, ...recipes.map((recipe) => ({ text: show(recipe.get(path)) }))]),
  };
  return `<details><summary>Settings in which the methods differ</summary>${htmlTable(grid)}</details>`;
}

function show(value: Json | undefined): string {
  return value === undefined ? '-' : typeof value === 'string' ? value : JSON.stringify(value);
}

function provenance({ commands, versions, devices, bootstrap }: CompareReport): string {
  const facts = [
    ...Object.entries(versions).map(([name, values]) => [name, values.join(', ')] as const),
    ['devices', devices.join(', ')] as const,
    ['bootstrap', `${bootstrap.resamples} resamples, seed ${bootstrap.seed}`] as const,
  ];
  return `<h2>How it was made</h2>\n<pre>${escapeHtml(commands.join('\n'))}</pre>\n${htmlDefinitions(facts)}`;
}
