/** A comparison as one HTML file: no script, nothing loaded from anywhere, plots as SVG. */
import { formatCount } from 'kdx/cli';
import { leaves, type Json } from 'kdx/recipe';
import { legend } from './legend.ts';
import { points } from './number-text.ts';
import { pageStyle } from './page-style.ts';
import { measuredRows, type Plot } from './plot.ts';
import { reliabilityPlot } from './reliability-plot.ts';
import { fractionTables, fractionTitle, verdicts, type ReportTable, type TableCell } from './report-tables.ts';
import { baselines, type CompareReport, type FractionReport } from './report.ts';
import { differencePlot, metricPlot } from './row-plots.ts';
import { costPlot, fractionPlot } from './series-plots.ts';
import { drawSvg } from './svg.ts';

/** Forbids the page everything but its own style. */
const policy = "default-src 'none'; style-src 'unsafe-inline'";

/** The same bytes for the same report. */
export async function renderHtml(report: CompareReport): Promise<string> {
  const title = `kdx compare: ${report.task.name}`;
  const sections: string[] = [];
  for (const index of report.fractions.keys()) sections.push(await fractionSection(report, index));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escape(title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<h1>${escape(title)}</h1>
${introduction(report)}
${report.fractions.length > 1 ? await figures([fractionPlot(report)]) : ''}
${sections.join('\n')}
<h2>How sure this is</h2>
${list(report.notes)}
<h2>What the columns mean</h2>
${list(legend(report))}
${settings(report)}
${provenance(report)}
</body>
</html>
`;
}

function introduction({ task, teacher, devExamples, finishedCells, plannedCells }: CompareReport): string {
  const labels = task.labels.length === 0 ? task.kind : `${task.labels.length} labels: ${task.labels.join(', ')}`;
  const facts: readonly (readonly [string, string])[] = [
    ['task', `${task.name} (${labels})`],
    ['measured', `${task.primary} and more on ${devExamples} dev examples`],
    [
      'teacher',
      `${teacher.ref}: ${task.primary} ${points(teacher.metrics[task.primary] as number)}, ` +
        `${formatCount(teacher.parameters)} parameters`,
    ],
    ['trainings', finishedCells === plannedCells ? `${finishedCells}` : `${finishedCells} of ${plannedCells}`],
  ];
  return definitions(facts);
}

/** The largest fraction is open, the others are folded up. */
async function fractionSection(report: CompareReport, index: number): Promise<string> {
  const fraction = report.fractions[index] as FractionReport;
  const title = `<h2>${escape(fractionTitle(fraction))}</h2>`;
  const content = [
    list(verdicts(fraction)),
    ...fractionTables(report, index).map(table),
    measuredRows(fraction).length === 0 ? '' : await fractionFigures(report, fraction),
  ].join('\n');
  return index === 0
    ? `<section>${title}\n${content}</section>`
    : `<details><summary>${title}</summary>\n${content}</details>`;
}

async function fractionFigures(report: CompareReport, fraction: FractionReport): Promise<string> {
  const differences = baselines.map((baseline) => differencePlot(fraction, baseline));
  const main = [metricPlot(report, fraction), ...differences.flatMap((plot) => plot ?? []), costPlot(report, fraction)];
  const models = [{ method: 'teacher', result: report.teacher }, ...measuredRows(fraction)];
  const reliability = models.flatMap(({ method, result: { calibration } }) =>
    calibration ? [reliabilityPlot(method, calibration, report.task.labels.length)] : [],
  );
  if (reliability.length === 0) return figures(main);
  const explanation = 'Accuracy over confidence by bin; dashed is perfect; the area is the share of the examples.';
  return `${await figures(main)}\n<h3>Calibration</h3>\n<p>${explanation}</p>\n${await figures(reliability, 'small ')}`;
}

async function figures(plots: readonly Plot[], size = ''): Promise<string> {
  const drawn: string[] = [];
  for (const { title, caption, description, spec } of plots)
    drawn.push(
      `<figure><h3>${escape(title)}</h3><div role="img" aria-label="${escape(`${title}: ${description}`)}">` +
        `${await drawSvg(spec)}</div><figcaption>${escape(caption)}</figcaption></figure>`,
    );
  return `<div class="${size}plots">\n${drawn.join('\n')}\n</div>`;
}

function table({ title, columns, rows }: ReportTable): string {
  const head = columns.map((column) => `<th scope="col">${escape(column)}</th>`).join('');
  const body = rows.map(([name, ...cells]) => {
    return `<tr><th scope="row">${escape(name!.text)}</th>${cells.map(dataCell).join('')}</tr>`;
  });
  return (
    `<h3>${escape(title)}</h3>\n<div class="scroll"><table><thead><tr>${head}</tr></thead>\n` +
    `<tbody>${body.join('\n')}</tbody></table></div>`
  );
}

function dataCell({ text, path, verdict }: TableCell): string {
  const place = path === undefined ? '' : ` data-path="${escape(path)}"`;
  const short = verdict === 'better' || verdict === 'worse' ? verdict : 'no difference seen';
  const kind = verdict === 'better' || verdict === 'worse' ? ` class="${verdict}"` : '';
  return `<td${place}${kind}>${escape(text)}${verdict ? `<small>${short}</small>` : ''}</td>`;
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
  return `<details><summary>Settings in which the methods differ</summary>${table(grid)}</details>`;
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
  return `<h2>How it was made</h2>\n<pre>${escape(commands.join('\n'))}</pre>\n${definitions(facts)}`;
}

function definitions(facts: readonly (readonly [string, string])[]): string {
  return `<dl>${facts.map(([name, value]) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`).join('')}</dl>`;
}

function list(texts: readonly string[]): string {
  return texts.length === 0 ? '' : `<ul>${texts.map((text) => `<li>${escape(text)}</li>`).join('')}</ul>`;
}

function escape(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character] as string);
}
