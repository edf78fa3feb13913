/** The tables of a comparison, the same for the terminal, for Markdown and for the page. */
import { formatCount, formatPercent } from 'kdx/cli';
import type { ReportTable, TableCell } from 'kdx/page';
import type { Difference } from './difference.ts';
import { differencePoints, duration, percentOf, points, spreadPoints, times } from './number-text.ts';
import { knowsWork } from './measured-rows.ts';
import type { CompareReport, FractionReport, MethodResult, MethodRow } from './report.ts';
import type { Spread } from './spread.ts';

interface Column {
  readonly title: string;
  readonly teacher: (report: CompareReport) => TableCell;
  /** @param path of the result in the report */
  readonly cell: (result: MethodResult, path: string) => TableCell;
}

const unknown: TableCell = { text: '-' };
const empty = () => unknown;

/** Quality, fidelity and cost of every method at one fraction; the teacher's row first. */
export function fractionTables(report: CompareReport, index: number): ReportTable[] {
  const { rows } = report.fractions[index] as FractionReport;
  const { primary, kind } = report.task;
  const fidelity = kind === 'classification' ? [agreement, divergence, ...calibration] : [rmsDifference];
  const others = report.task.metrics.filter((name) => name !== primary).map(metricColumn);
  const table = (title: string, columns: readonly Column[]): ReportTable => ({
    title,
    columns: ['method', ...columns.map((column) => column.title)],
    rows: [
      [{ text: 'teacher' }, ...columns.map(({ teacher }) => teacher(report))],
      ...rows.map((row, i) => {
        const path = `fractions.${index}.rows.${i}.result`;
        return [{ text: row.method }, ...columns.map(({ cell }) => (row.result ? cell(row.result, path) : unknown))];
      }),
    ],
  });
  const quality = table(`${primary} x 100`, [primaryColumn(primary), ...report.baselines.map(differenceColumn)]);
  return [
    { ...quality, ...withSeeds(quality, rows) },
    table('Nearness to the teacher, calibration', [...others, retention, ...fidelity]),
    table('Size and cost of training', [...costs, ...(knowsWork(rows) ? [cpuTime, relativeWork] : [relativeTime])]),
  ];
}

/** One sentence per method that has something to be compared with. */
export function verdicts({ rows }: FractionReport): string[] {
  return rows.flatMap(({ method, result }) => {
    const found = Object.entries(result?.versus ?? {}).flatMap(([baseline, difference]) =>
      difference ? [verdictText(difference, baseline)] : [],
    );
    return found.length === 0 ? [] : [`${method}: ${found.join('; ')}`];
  });
}

/** `10 % of the training data, 6735 examples`. */
export function fractionTitle({ fraction, trainExamples }: FractionReport): string {
  const examples = trainExamples === null ? '' : `, ${trainExamples} examples`;
  return `${percentOf(fraction)} of the training data${examples}`;
}

function verdictText({ verdict, estimate }: Difference, baseline: string): string {
  if (verdict === 'no difference seen at 95 %') return `no difference to ${baseline} seen at 95 %`;
  return `${verdict} than ${baseline} by ${points(Math.abs(estimate))} points`;
}

/** Finished of planned seeds, as the second column. */
function withSeeds(
  { columns, rows }: ReportTable,
  methods: readonly MethodRow[],
): Pick<ReportTable, 'columns' | 'rows'> {
  const cells = [unknown, ...methods.map(seedsCell)];
  const insert = <T>(list: readonly T[], added: T) => [...list.slice(0, 1), added, ...list.slice(1)];
  return { columns: insert(columns, 'seeds'), rows: rows.map((row, i) => insert(row, cells[i] as TableCell)) };
}

function seedsCell({ seeds, missingSeeds }: MethodRow): TableCell {
  return {
    text: missingSeeds.length === 0 ? `${seeds.length}` : `${seeds.length}/${seeds.length + missingSeeds.length}`,
  };
}

const primaryColumn = (primary: string): Column => ({
  title: primary,
  teacher: ({ teacher }) => pointsCell(teacher.metrics[primary], `teacher.metrics.${primary}`),
  cell: (result, path) => ({ text: spreadPoints(result.primary), path: `${path}.primary` }),
});

const metricColumn = (name: string): Column => ({
  title: name,
  teacher: ({ teacher }) => pointsCell(teacher.metrics[name], `teacher.metrics.${name}`),
  cell: (result, path) => pointsCell(result.metrics[name]?.mean, `${path}.metrics.${name}.mean`),
});

const differenceColumn = (baseline: string): Column => ({
  title: `against ${baseline}`,
  teacher: empty,
  cell: ({ versus }, path) => {
    const difference = versus[baseline];
    if (!difference) return unknown;
    return { text: differencePoints(difference), path: `${path}.versus.${baseline}`, ...verdictNote(difference) };
  },
});

function verdictNote({ verdict }: Difference): Pick<TableCell, 'note' | 'mark'> {
  return verdict === 'better' || verdict === 'worse'
    ? { note: verdict, mark: verdict }
    : { note: 'no difference seen' };
}

const retention: Column = {
  title: 'retained',
  teacher: empty,
  cell: (result, path) => percentCell(result.retention, `${path}.retention`),
};

const agreement: Column = {
  title: 'agreement',
  teacher: empty,
  cell: ({ fidelity }, path) => percentCell(fidelity.agreement?.mean, `${path}.fidelity.agreement.mean`),
};

const divergence: Column = {
  title: 'KL',
  teacher: empty,
  cell: ({ fidelity }, path) => decimalCell(fidelity.divergence, `${path}.fidelity.divergence`),
};

const rmsDifference: Column = {
  title: 'RMS difference',
  teacher: empty,
  cell: ({ fidelity }, path) => decimalCell(fidelity.rmsDifference, `${path}.fidelity.rmsDifference`),
};

const calibration: readonly Column[] = [
  calibrationColumn('NLL', 'negativeLogLikelihood'),
  calibrationColumn('ECE', 'expectedCalibrationError'),
];

function calibrationColumn(title: string, field: 'negativeLogLikelihood' | 'expectedCalibrationError'): Column {
  const cell = (of: { calibration: MethodResult['calibration'] }, path: string) =>
    decimalCell(of.calibration?.[field], `${path}.calibration.${field}`);
  return { title, teacher: ({ teacher }) => cell(teacher, 'teacher'), cell };
}

function countText(count: number | null): string {
  return count === null ? '-' : formatCount(count);
}

const costs: readonly Column[] = [
  {
    title: 'params',
    teacher: ({ teacher }) => ({ text: countText(teacher.parameters), path: 'teacher.parameters' }),
    cell: ({ student }, path) => ({ text: formatCount(student.parameters), path: `${path}.student.parameters` }),
  },
  {
    title: 'FLOPs',
    teacher: ({ teacher }) => ({ text: countText(teacher.flops), path: 'teacher.flops' }),
    cell: ({ student }, path) => ({ text: formatCount(student.flops), path: `${path}.student.flops` }),
  },
  {
    title: 'layers',
    teacher: empty,
    cell: ({ student: { layers, depth } }, path) => ({
      text: layers === depth ? `${layers}` : `${layers} (run ${depth})`,
      path: `${path}.student.layers`,
    }),
  },
  {
    title: 'steps',
    teacher: empty,
    cell: ({ training }, path) => ({ text: formatCount(training.steps), path: `${path}.training.steps` }),
  },
  {
    title: 'examples',
    teacher: empty,
    cell: ({ training }, path) => ({ text: formatCount(training.examples), path: `${path}.training.examples` }),
  },
  {
    title: 'time',
    teacher: empty,
    cell: ({ training }, path) => ({ text: duration(training.seconds), path: `${path}.training.seconds` }),
  },
];

const cpuTime: Column = {
  title: 'CPU time',
  teacher: empty,
  cell: ({ training }, path) =>
    training.cpuSeconds === null
      ? unknown
      : { text: duration(training.cpuSeconds), path: `${path}.training.cpuSeconds` },
};
const relativeTime = relative('seconds');
const relativeWork = relative('cpuSeconds');

function relative(what: 'seconds' | 'cpuSeconds'): Column {
  return {
    title: 'relative',
    teacher: empty,
    cell: ({ relativeCost }, path) => {
      const ratio = relativeCost?.[what] ?? null;
      return ratio === null ? unknown : { text: times(ratio), path: `${path}.relativeCost.${what}` };
    },
  };
}

function pointsCell(value: number | undefined, path: string): TableCell {
  return value === undefined ? unknown : { text: points(value), path };
}

function percentCell(value: number | null | undefined, path: string): TableCell {
  return value === null || value === undefined ? unknown : { text: formatPercent(value), path };
}

function decimalCell(spread: Spread | null | undefined, path: string): TableCell {
  return spread ? { text: spread.mean.toFixed(4), path: `${path}.mean` } : unknown;
}
