/** A bench report for people: a table, a sentence for each student, and notes; 80 columns wide. */
import { formatBytes, formatCount, formatMilliseconds, formatPercent, renderTable, significant } from 'kdx/cli';
import type { BenchReport, ModelReport, StudentReport } from './report.ts';
import type { Interval } from './statistics.ts';

const width = 80;
const unknown = '-';

/** The teacher's row first, then the students in their order; then each student against the teacher in a sentence. */
export function reportTable(report: BenchReport): string {
  const { teacher, students } = report;
  const table = renderTable(modelColumns(teacher), [teacher, ...students].map(modelRow), { width });
  const comparisons = students.map((student) => studentLine(student, teacher));
  return `${[table, lines(comparisons), lines(notes(report))].join('\n\n')}\n`;
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

/** One sentence: "small: x2.01 faster [1.95, 2.06], x1.82 smaller, keeps 98.7 % of accuracy (...), agrees on 96.0 %". */
function studentLine(student: StudentReport, teacher: ModelReport): string {
  const { metric, retention, agreement } = student;
  const parts = [speedText(student.speedup), sizeText(student.compressionRatio)];
  if (metric && teacher.metric && retention !== null)
    parts.push(
      `keeps ${formatPercent(retention)} of ${metric.name} ` +
        `(${formatPercent(metric.value)} of ${formatPercent(teacher.metric.value)})`,
    );
  if (agreement !== null) parts.push(`agrees on ${formatPercent(agreement)}`);
  return `${student.name}: ${parts.join(', ')}`;
}

function speedText(speedup: StudentReport['speedup']): string {
  const { ratio, ci95, verdict } = speedup;
  if (!ci95) return 'speed not known (too few rounds)';
  switch (verdict) {
    case 'faster':
      return `${times(ratio)} faster ${intervalText(ci95)}`;
    case 'slower':
      // Told by its own factor, so that it reads like "faster".
      return `${times(1 / ratio)} slower ${intervalText([1 / ci95[1], 1 / ci95[0]])}`;
    case 'not distinguishable':
      return `as fast as the teacher within the noise, ${times(ratio)} ${intervalText(ci95)}`;
    case 'invalid run':
      return 'speed not known';
  }
}

function sizeText(ratio: number): string {
  return ratio >= 1 ? `${times(ratio)} smaller` : `${times(1 / ratio)} larger`;
}

/** Two decimals below 10, so that 1.02 and 1.00 stay apart. */
function times(ratio: number): string {
  return `x${decimals(ratio)}`;
}

function decimals(ratio: number): string {
  return ratio < 10 ? ratio.toFixed(2) : significant(ratio);
}

function intervalText([low, high]: Interval): string {
  return `[${decimals(low)}, ${decimals(high)}]`;
}

function notes(report: BenchReport): string[] {
  const { scenario, control, environment, rounds, seconds, samples } = report;
  const batched = samples.filter(({ role, runsPerSample }) => role !== 'control' && runsPerSample > 1);
  const outliers = [report.teacher, ...report.students].filter(({ latencyMs: { outliers: severe } }) => {
    return severe.lowSevere + severe.highSevere > 0.05 * rounds;
  });
  const found = [
    `${scenario.device}, ${count(scenario.threads, 'thread')}, batch ${scenario.batch}, length ${scenario.length}; ` +
      `${count(rounds, 'round')} in ${significant(seconds)} s: ${report.stopReason}`,
    `control, the teacher against itself: ${times(control.ratio)}${control.ci95 ? ` ${intervalText(control.ci95)}` : ''}` +
      (control.valid ? '' : '. It excludes 1: THE RUN IS INVALID, the machine was too unsteady; run it again'),
  ];
  if (report.partial) found.push('interrupted: this is a partial result');
  for (const { name, runsPerSample } of batched)
    found.push(`${name}: a sample is the mean of ${runsPerSample} runs, so p90 is of such means`);
  for (const { name } of outliers) found.push(`${name}: more than 5 % of its samples are severe outliers (kept)`);
  return [...found, ...environment.warnings.map((warning) => `warning: ${warning}`)];
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
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
