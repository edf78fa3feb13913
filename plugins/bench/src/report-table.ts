/** A bench report for people: a table, a sentence for each student, and notes; 80 columns wide. */
import { formatBytes, formatCount, formatMilliseconds, renderTable, significant } from 'kdx/cli';
import type { ReportTable } from 'kdx/page';
import { baselineNotes } from './page/baseline-table.ts';
import { gridTables } from './page/grid-table.ts';
import { importedSections } from './page/imported-table.ts';
import { reportNotes, studentSentences } from './page/statements.ts';
import { shortName, terminalBars, type BarStyle } from './page/terminal-bars.ts';
import type { BenchReport, ModelReport } from './report.ts';

const width = 80;
const unknown = '-';

export interface ReportTableOptions {
  /** Default: none, as in a file. */
  readonly bars?: BarStyle;
}

/** The teacher's row first, then the students in their order; then each student against the teacher in a sentence. */
export function reportTable(report: BenchReport, { bars = 'none' }: ReportTableOptions = {}): string {
  const { teacher, students } = report;
  const texts = [
    renderTable(modelColumns(teacher), [teacher, ...students].map(modelRow), { width }),
    bars === 'none' ? '' : terminalBars(report, bars),
    lines(studentSentences(report)),
    ...gridTables(report).slice(0, 1).map(terminalTable),
    ...importedSections(report).flatMap(({ title, device, tables, notes }) => [
      lines([`${title}: ${device}`]),
      ...tables.map(terminalTable),
      lines(notes),
    ]),
    lines(baselineNotes(report)),
    lines(reportNotes(report)),
  ];
  return `${texts.filter((text) => text !== '').join('\n\n')}\n`;
}

function terminalTable({ title, columns, rows }: ReportTable): string {
  const titles = columns.map((column, j) => ({ title: j === 0 ? column : shortName(column), align: 'right' }) as const);
  const cells = rows.map((row) => row.map(({ text }) => text));
  return `${title}:\n${renderTable(titles, cells, { width })}`;
}

const modelColumns = (teacher: ModelReport) => [
  { title: 'model', align: 'left' as const },
  { title: 'params' },
  { title: 'FLOPs' },
  { title: 'size' },
  { title: 'p50 ms' },
  { title: 'p90 ms' },
  { title: 'start' },
  { title: 'memory' },
  { title: teacher.metric?.name ?? 'metric' },
];

function modelRow(model: ModelReport): string[] {
  return [
    model.name,
    formatCount(model.parameters),
    model.flops === null ? unknown : formatCount(model.flops),
    formatBytes(model.bytes),
    significant(model.latencyMs.p50),
    significant(model.latencyMs.p90),
    model.coldStartMs === null ? unknown : formatMilliseconds(model.coldStartMs),
    model.peakRssBytes === null ? unknown : formatBytes(model.peakRssBytes),
    model.metric === null ? unknown : model.metric.value.toFixed(4),
  ];
}

function lines(texts: readonly string[]): string {
  return texts.flatMap(wrap).join('\n');
}

/** Lines of at most 80 characters, the later ones indented. */
function wrap(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = `  ${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
