/** Labelled examples from task folders and files. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { fileError, sha256 } from '../files/index.ts';
import { describeLabels, inferLabels, labelReader } from './labels.ts';
import { printProblem, throwProblems, type Problem } from './problems.ts';
import { randomStream } from './random.ts';
import { readTable, type Row } from './table.ts';
import { customTask, taskNamed, type Columns, type Layout, type Task } from './tasks.ts';

export interface Example {
  /** Position among the examples of its file, from 0. */
  readonly id: number;
  readonly text: string;
  readonly pair?: string;
  /** Label id, or the value itself for regression. */
  readonly label: number;
}

export type Split = 'train' | 'dev';

/** A GLUE folder as distributed. */
export interface FolderSource {
  readonly task: string;
  readonly dir: string;
}

/** Two files of any supported format with named columns. */
export interface FileSource {
  /** A GLUE task whose labels, metrics and (unless given) columns apply; a task of its own otherwise. */
  readonly task?: string;
  readonly train: string;
  readonly dev: string;
  /** Default `text`. */
  readonly textColumn?: string;
  readonly pairColumn?: string;
  /** Default `label`. */
  readonly labelColumn?: string;
  /** Label names in the order of their ids; inferred from the first file that is read when absent. */
  readonly labels?: readonly string[];
  readonly regression?: boolean;
}

export interface TaskData {
  readonly task: Task;
  readonly train: readonly Example[];
  readonly dev: readonly Example[];
  readonly warnings: readonly string[];
}

interface Plan {
  /** Undefined while the label set of a custom task is not known. */
  readonly task: Task | undefined;
  readonly paths: Readonly<Record<Split, string>>;
  readonly columns: Columns;
  readonly layout: Layout | undefined;
}

/** More different labels than this are rather a column of numbers or of texts. */
const mostInferred = 1000;

const ownFiles = 'for other files, give --train FILE --dev FILE with --text-column and --label-column';

const brokenRow: ReadonlySet<string> = new Set(['ragged-row', 'empty-text']);

/**
 * Reads a task. A split that is not in `splits` is not opened and stays empty.
 * @throws KdxError `unknown-task`, `missing-task-file`, `file-not-found`, `unknown-data-format`, and for content, with
 *   file and line, up to ten at once: `missing-column`, `ragged-row`, `empty-text`, `unknown-label`, `empty-data`,
 *   `single-label`, `too-many-labels`, `invalid-csv`, `invalid-json-line`, `not-utf8`
 */
export async function loadTaskData(
  source: FolderSource | FileSource,
  options: { readonly splits?: readonly Split[] } = {},
): Promise<TaskData> {
  const plan = 'dir' in source ? await planFolder(source) : planFiles(source);
  const splits = options.splits ?? ['train', 'dev'];
  const problems: Problem[] = [];
  const rows: Record<Split, Row[]> = { train: [], dev: [] };
  for (const split of splits) rows[split] = await readRows(plan, split, problems);
  const labelled: Split = splits.includes('train') ? 'train' : 'dev';
  // Without a row no label set can be inferred, and every label of the other file would seem wrong.
  if (plan.task === undefined && rows[labelled].length === 0) throwProblems(problems);
  const task = plan.task ?? inferredTask(plan, labelled, rows[labelled], problems);

  const examples = { train: [] as Example[], dev: [] as Example[] };
  for (const split of splits) examples[split] = readExamples(task, plan.paths[split], rows[split], problems);
  const skips = plan.layout?.skipsBrokenRows === true && splits.every((split) => examples[split].length > 0);
  const skipped = skips ? problems.filter(({ code }) => brokenRow.has(code)) : [];
  throwProblems(skips ? problems.filter(({ code }) => !brokenRow.has(code)) : problems);
  return { task, ...examples, warnings: [...skippedRows(skipped), ...absentLabels(task, examples.train)] };
}

async function planFolder(source: FolderSource): Promise<Plan> {
  const task = taskNamed(source.task);
  const layout = task.layout as Layout;
  const { dir } = source;
  const present = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTDIR') throw fileError(error, dir);
    throw new KdxError('not-a-folder', `${dir} is a file, a ${task.name} folder is needed`, {
      suggestions: [ownFiles],
      cause: error,
    });
  });
  const needed = [layout.trainFile, layout.devFile];
  const missing = needed.filter((name) => !present.includes(name));
  if (missing.length > 0) {
    const found = present.slice(0, 10).join(', ') || 'nothing';
    const message = `${dir} has no ${missing.join(' and no ')}: a ${task.name} folder holds ${needed.join(' and ')}; found ${found}`;
    throw new KdxError('missing-task-file', message, {
      suggestions: [ownFiles],
    });
  }
  const paths = { train: join(dir, layout.trainFile), dev: join(dir, layout.devFile) };
  return { task, paths, columns: layout.columns, layout };
}

function planFiles(source: FileSource): Plan {
  const known = source.task === undefined || source.task === 'custom' ? undefined : taskNamed(source.task);
  // A header-less layout applies only to files that are taken by the task's own columns.
  const layout = source.textColumn === undefined ? known?.layout : undefined;
  const pair = source.pairColumn ?? layout?.columns.pair;
  const columns: Columns = {
    text: source.textColumn ?? layout?.columns.text ?? 'text',
    ...(pair === undefined ? {} : { pair }),
    label: source.labelColumn ?? layout?.columns.label ?? 'label',
  };
  return {
    task: plannedTask(source, known, pair !== undefined),
    paths: { train: source.train, dev: source.dev },
    columns,
    layout,
  };
}

function plannedTask(source: FileSource, known: Task | undefined, pair: boolean): Task | undefined {
  if (known !== undefined) return { ...known, pair };
  const regression = source.regression === true;
  if (source.labels === undefined && !regression) return undefined;
  return customTask({ labels: source.labels ?? [], regression, pair });
}

async function readRows({ paths, columns, layout }: Plan, split: Split, problems: Problem[]): Promise<Row[]> {
  const { text, pair, label } = columns;
  const wanted = pair === undefined ? [text, label] : [text, label, pair];
  const header = layout?.header === undefined ? {} : { header: layout.header };
  const before = problems.length;
  const rows = await readTable({ path: paths[split], columns: wanted, ...header }, problems);
  if (rows.length === 0 && problems.length === before)
    problems.push({ code: 'empty-data', where: paths[split], message: 'there is no example in this file' });
  return rows;
}

function inferredTask(plan: Plan, split: Split, rows: readonly Row[], problems: Problem[]): Task {
  const labels = inferLabels(rows.map(({ values }) => values[1] as string));
  const where = plan.paths[split];
  if (labels.length < 2) {
    const message = `every label is "${labels[0] ?? ''}": a classifier needs two or more`;
    problems.push({ code: 'single-label', where, message });
  }
  if (labels.length > mostInferred) {
    const message = `${labels.length} different labels, at most ${mostInferred} are taken for classes`;
    problems.push({
      code: 'too-many-labels',
      where,
      message,
      suggestion: '--label-column NAME, the column of the classes',
    });
  }
  return customTask({ labels, regression: false, pair: plan.columns.pair !== undefined });
}

function readExamples(task: Task, path: string, rows: readonly Row[], problems: Problem[]): Example[] {
  const labelOf = labelReader(task);
  const examples: Example[] = [];
  for (const { line, values } of rows) {
    const [text, cell, pair] = values as [string, string, string?];
    const where = `${path}:${line}`;
    const label = labelOf(cell);
    if (text.trim() === '' || pair?.trim() === '') {
      const message = text.trim() === '' ? 'the text is empty' : 'the second text is empty';
      problems.push({ code: 'empty-text', where, message });
    } else if (label === undefined) {
      problems.push({ code: 'unknown-label', where, message: `label "${cell}" is not ${describeLabels(task)}` });
    } else {
      examples.push({ id: examples.length, text, ...(pair === undefined ? {} : { pair }), label });
    }
  }
  return examples;
}

function skippedRows(skipped: readonly Problem[]): string[] {
  const first = skipped[0];
  return first === undefined ? [] : [`${skipped.length} broken rows left out, the first: ${printProblem(first)}`];
}

function absentLabels(task: Task, train: readonly Example[]): string[] {
  if (train.length === 0) return [];
  const seen = new Set(train.map(({ label }) => label));
  const absent = task.labels.filter((_, id) => !seen.has(id));
  return absent.length === 0 ? [] : [`no training example has the label ${absent.join(', ')}`];
}

/** `count` examples chosen by the seed, in their order; a larger count contains the smaller ones. */
export function limitExamples(examples: readonly Example[], count: number, seed: number): readonly Example[] {
  if (count >= examples.length) return examples;
  const chosen = randomStream(seed, 'limit')
    .shuffle([...examples])
    .slice(0, count);
  return chosen.sort((a, b) => a.id - b.id);
}

/** SHA-256 over text, pair and label of every example, in order. */
export function datasetHash(examples: readonly Example[]): string {
  return sha256(examples.map(({ text, pair, label }) => JSON.stringify([text, pair ?? null, label])).join('\n'));
}
