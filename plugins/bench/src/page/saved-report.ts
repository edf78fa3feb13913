/** bench.json read again, also one of an older version. */
import { readFile } from 'node:fs/promises';
import { KdxError } from 'kdx/errors';
import { fileError } from 'kdx/files';
import type { BenchReport, ModelReport } from '../report.ts';

/** What every version wrote, by its type. */
const ofReport: Readonly<Record<string, string>> = {
  'scenario.device': 'string',
  'scenario.threads': 'number',
  'scenario.batch': 'number',
  'control.ratio': 'number',
  'control.valid': 'boolean',
  stopReason: 'string',
  rounds: 'number',
  seconds: 'number',
  'environment.cpu.model': 'string',
  'environment.warnings': 'list',
  samples: 'list',
  students: 'list',
};
const ofModel: Readonly<Record<string, string>> = {
  name: 'string',
  ref: 'string',
  sha256: 'string',
  parameters: 'number',
  bytes: 'number',
  throughput: 'number',
  'latencyMs.p50': 'number',
  'latencyMs.p90': 'number',
  'latencyMs.outliers.highSevere': 'number',
};
const ofStudent: Readonly<Record<string, string>> = {
  ...ofModel,
  compressionRatio: 'number',
  'speedup.ratio': 'number',
  'speedup.verdict': 'string',
};

/** @throws KdxError `file-not-found`, ...; `invalid-report` for anything but a result of kdx bench */
export async function readReport(file: string): Promise<BenchReport> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw fileError(error, file);
  });
  const found = parse(text);
  const wrong = firstWrong(found);
  if (wrong !== undefined)
    throw new KdxError('invalid-report', `${file} is not a result of kdx bench: ${wrong}`, {
      suggestions: ['kdx bench --out DIR writes DIR/bench.json'],
    });
  return completed(found as BenchReport);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function firstWrong(report: unknown): string | undefined {
  const wrongIn = (value: unknown, types: Readonly<Record<string, string>>, place: string) =>
    Object.entries(types).flatMap(([path, type]) => {
      const found = typeOf(valueAt(value, path));
      return found === type ? [] : [`${place}${path} is ${found}, expected ${type}`];
    })[0];
  const top = wrongIn(report, ofReport, '') ?? wrongIn(valueAt(report, 'teacher'), ofModel, 'teacher.');
  if (top !== undefined) return top;
  return (report as BenchReport).students
    .map((student: unknown, i) => wrongIn(student, ofStudent, `students.${i}.`))
    .find((wrong) => wrong !== undefined);
}

function valueAt(value: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((found, key) => (found as Record<string, unknown> | null | undefined)?.[key], value);
}

function typeOf(value: unknown): string {
  return Array.isArray(value) ? 'list' : value === undefined ? 'missing' : value === null ? 'null' : typeof value;
}

/** What older versions did not know, as not measured. */
function completed(report: BenchReport): BenchReport {
  const absent = { compressedBytes: null, coldStartCi95: null, peakRssCi95: null };
  const unknownOfStudents = { retentionCi95: null, agreementCi95: null, klDivergence: null, klCi95: null };
  return {
    ...{ data: null, grid: [], baseline: null, openings: [report.rounds] },
    ...report,
    teacher: { ...absent, ...withInterval(report.teacher) },
    students: report.students.map((student) => ({ ...absent, ...unknownOfStudents, ...withInterval(student) })),
  };
}

function withInterval<T extends ModelReport>(model: T): T {
  return { ...model, metric: model.metric && { ...{ ci95: null }, ...model.metric } };
}
