/** Tables in files: tab-separated (no quoting), comma-separated (RFC 4180), JSON lines. */
import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { CsvError, parse, type Options } from 'csv-parse/sync';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';
import type { Problem } from './problems.ts';

/** The wanted cells of one row, in the order they were asked for. `line` is where the row starts, from 1. */
export interface Row {
  readonly line: number;
  readonly values: readonly string[];
}

export interface TableRequest {
  readonly path: string;
  readonly columns: readonly string[];
  /** Names of all columns when the file has no header line (not for JSON lines). */
  readonly header?: readonly string[];
}

type Format = (text: string, request: TableRequest, problems: Problem[]) => Row[];

const nameColumns = '--train FILE --dev FILE with --text-column and --label-column, which name the columns';

const formats: Readonly<Record<string, Format>> = {
  // A tab-separated cell is taken as it is: in the files of GLUE, and of most others, a quote is text.
  '.tsv': (text, request, problems) =>
    delimited(text, { delimiter: '\t', quote: false, escape: false }, request, problems),
  '.csv': (text, request, problems) => delimited(text, { delimiter: ',' }, request, problems),
  '.jsonl': jsonLines,
  '.ndjson': jsonLines,
};

/**
 * Rows of a file; what is wrong with its content is added to `problems` and the rows concerned are left out.
 * Codes: `not-utf8`, `invalid-csv`, `missing-column`, `duplicate-column`, `ragged-row`, `invalid-json-line`.
 * @throws KdxError `unknown-data-format`, `file-not-found`, ...
 */
export async function readTable(request: TableRequest, problems: Problem[]): Promise<Row[]> {
  const { path } = request;
  const format = formats[extname(path).toLowerCase()];
  if (format === undefined)
    throw new KdxError('unknown-data-format', `${path} is not a ${Object.keys(formats).join(', ')} file`, {
      suggestions: ['rename the file by its format: .tsv tab-separated, .csv comma-separated, .jsonl JSON lines'],
    });
  const bytes = await readFile(path).catch((error: unknown) => {
    throw fileError(error, path);
  });
  if (!isUtf8(bytes)) {
    const where = `${path}:${firstLineNotUtf8(bytes)}`;
    problems.push({ code: 'not-utf8', where, message: 'not UTF-8 text; convert the file, e.g. with iconv -t UTF-8' });
    return [];
  }
  return format(new TextDecoder().decode(bytes), request, problems); // drops a byte-order mark
}

function firstLineNotUtf8(bytes: Buffer): number {
  let line = 1;
  for (let start = 0; ; line++) {
    const end = bytes.indexOf(0x0a, start);
    if (end < 0 || !isUtf8(bytes.subarray(start, end))) return line;
    start = end + 1;
  }
}

interface DelimitedRecord {
  readonly record: readonly string[];
  /** `lines`: the line on which the record ends. */
  readonly info: { readonly lines: number };
}

function delimited(text: string, dialect: Options, request: TableRequest, problems: Problem[]): Row[] {
  const { path } = request;
  let records: DelimitedRecord[];
  try {
    const options = { ...dialect, record_delimiter: ['\r\n', '\n'], relax_column_count: true, info: true };
    records = parse(text, options) as unknown as DelimitedRecord[];
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const where = `${path}:${(error as CsvError & { lines?: number }).lines ?? 1}`;
    problems.push({ code: 'invalid-csv', where, message: error.message });
    return [];
  }
  while (isBlank(records.at(-1)?.record)) records.pop();

  const named = request.header ?? records[0]?.record;
  if (named === undefined) return [];
  const indices = columnIndices(named, request, problems);
  if (indices === undefined) return [];
  const rows: Row[] = [];
  for (let i = request.header === undefined ? 1 : 0; i < records.length; i++) {
    const { record } = records[i] as DelimitedRecord;
    const line = 1 + (records[i - 1]?.info.lines ?? 0);
    if (record.length === named.length) rows.push({ line, values: indices.map((index) => record[index] as string) });
    else {
      const found = isBlank(record) ? 'an empty line' : `${record.length}`;
      const message = `${named.length} columns expected, found ${found}`;
      problems.push({ code: 'ragged-row', where: `${path}:${line}`, message });
    }
  }
  return rows;
}

function isBlank(record: readonly string[] | undefined): boolean {
  return record?.length === 1 && record[0]?.trim() === '';
}

function columnIndices(named: readonly string[], request: TableRequest, problems: Problem[]): number[] | undefined {
  const before = problems.length;
  const where = `${request.path}:1`;
  for (const column of request.columns) {
    if (!named.includes(column)) {
      const message = `no column "${column}"; columns found: ${named.map((name) => `"${name}"`).join(', ') || 'none'}`;
      problems.push({ code: 'missing-column', where, message, suggestion: nameColumns });
    } else if (named.indexOf(column) !== named.lastIndexOf(column)) {
      problems.push({ code: 'duplicate-column', where, message: `more than one column is called "${column}"` });
    }
  }
  return problems.length > before ? undefined : request.columns.map((column) => named.indexOf(column));
}

function jsonLines(text: string, request: TableRequest, problems: Problem[]): Row[] {
  const rows: Row[] = [];
  for (const [index, source] of text.split('\n').entries()) {
    if (source.trim() === '') continue;
    const line = index + 1;
    const values = jsonValues(source, request.columns);
    if (Array.isArray(values)) rows.push({ line, values });
    else problems.push({ ...values, where: `${request.path}:${line}` });
  }
  return rows;
}

/** The wanted cells of one JSON object; numbers and booleans become their text. */
function jsonValues(source: string, columns: readonly string[]): string[] | Omit<Problem, 'where'> {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    return { code: 'invalid-json-line', message: `not JSON: ${(error as Error).message}` };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { code: 'invalid-json-line', message: 'not a JSON object' };
  const cells: string[] = [];
  for (const column of columns) {
    const cell = Object.hasOwn(value, column) ? (value as Record<string, unknown>)[column] : undefined;
    if (cell === undefined) {
      const found = Object.keys(value).map((name) => `"${name}"`);
      const message = `no key "${column}"; keys found: ${found.join(', ') || 'none'}`;
      return { code: 'missing-column', message, suggestion: nameColumns };
    }
    if (!['string', 'number', 'boolean'].includes(typeof cell))
      return { code: 'invalid-json-line', message: `"${column}" is neither text nor a number` };
    cells.push(String(cell));
  }
  return cells;
}
