/** Latency and size of all models as bars, for a terminal. */
import { formatBytes, formatMilliseconds } from 'kdx/cli';
import type { BenchReport, ModelReport } from '../report.ts';

export type BarStyle = 'blocks' | 'ascii' | 'none';

/** None in a file or a pipe; blocks where the terminal takes UTF-8. */
export function barStyleOf(stream: { readonly isTTY?: boolean }, environment: NodeJS.ProcessEnv): BarStyle {
  if (stream.isTTY !== true || environment.TERM === 'dumb') return 'none';
  const { LC_ALL, LC_CTYPE, LANG } = environment;
  // Windows has no locale variables; its terminals that set WT_SESSION take UTF-8.
  const utf8 = /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '') || environment.WT_SESSION !== undefined;
  return utf8 ? 'blocks' : 'ascii';
}

interface Measure {
  readonly title: string;
  readonly valueOf: (model: ModelReport) => number;
  readonly format: (value: number) => string;
}

const latency: Measure = { title: 'p50', valueOf: ({ latencyMs }) => latencyMs.p50, format: formatMilliseconds };
const size: Measure = { title: 'size', valueOf: ({ bytes }) => bytes, format: formatBytes };

const barWidth = 18;
const longestName = 16;

/** At most 80 columns; the longest bar is the largest value. An invalid run has no bars of latency to compare. */
export function terminalBars({ teacher, students, control }: BenchReport, style: Exclude<BarStyle, 'none'>): string {
  const models = [teacher, ...students];
  const names = models.map(({ name }) => shortName(name));
  const nameWidth = Math.max(...names.map((name) => name.length));
  const columns = (control.valid ? [latency, size] : [size]).map(({ title, valueOf, format }) => {
    const values = models.map(valueOf);
    const texts = values.map(format);
    const textWidth = Math.max(title.length, ...texts.map((text) => text.length));
    const longest = Math.max(...values);
    return [
      `${title.padStart(textWidth)} ${''.padEnd(barWidth)}`,
      ...values.map((value, i) => `${texts[i]!.padStart(textWidth)} ${bar(value / longest, style).padEnd(barWidth)}`),
    ];
  });
  return ['', ...names]
    .map((name, i) => [name.padEnd(nameWidth), ...columns.map((column) => column[i]!)].join('  ').trimEnd())
    .join('\n');
}

/** At most 16 characters, in ASCII if the name is. */
export function shortName(name: string): string {
  return name.length > longestName ? `${name.slice(0, longestName - 3)}...` : name;
}

/** Eighths of a character. */
const partialBlocks = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

function bar(share: number, style: 'blocks' | 'ascii'): string {
  if (style === 'ascii') return '#'.repeat(Math.max(1, Math.round(share * barWidth)));
  const eighths = Math.max(1, Math.round(share * barWidth * 8));
  return '█'.repeat(Math.floor(eighths / 8)) + partialBlocks[eighths % 8]!;
}
