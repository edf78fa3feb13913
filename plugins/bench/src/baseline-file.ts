/** An earlier bench.json as something to compare with: only what the gate reads, and all of that checked. */
import { readFile } from 'node:fs/promises';
import { KdxError } from 'kdx/errors';
import { fileError } from 'kdx/files';
import type { Length, Scenario } from './grid.ts';

/** What of a scenario must be the same for times to be compared. */
export type CellKey = Pick<Scenario, 'device' | 'threads' | 'batch' | 'length' | 'tokenize'>;

export interface BaselineModel {
  readonly name: string;
  readonly role: 'teacher' | 'student';
  readonly sha256: string;
  readonly bytes: number;
  readonly metric: { readonly name: string; readonly value: number } | null;
  /** One per example of the data; `null` where they were not kept. */
  readonly answers: readonly number[] | null;
}

export interface BaselineCell extends CellKey {
  readonly valid: boolean;
  /** Rounds of each opening of the models. */
  readonly openings: readonly number[];
  /** Milliseconds per run by model name, one per round, the same number for all. */
  readonly samplesMs: ReadonlyMap<string, readonly number[]>;
}

export interface Baseline {
  readonly file: string;
  /** The teacher first. */
  readonly models: readonly BaselineModel[];
  readonly cells: readonly BaselineCell[];
  /** SHA-256 of the examples that were scored. */
  readonly data: string | null;
  /** Model name of the processor. */
  readonly processor: string;
  readonly onnxruntime: string;
}

/** @throws KdxError `file-not-found`, ...; `invalid-baseline` for anything but a whole result of kdx bench */
export async function readBaseline(file: string): Promise<Baseline> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw fileError(error, file);
  });
  try {
    return parseBaseline(JSON.parse(text), file);
  } catch (error) {
    const reason = error instanceof Unexpected || error instanceof SyntaxError ? error.message : undefined;
    if (reason === undefined) throw error;
    throw new KdxError('invalid-baseline', `${file} is not a result of kdx bench: ${reason}`, {
      suggestions: ['kdx bench --out DIR writes DIR/bench.json, which a later run takes as --baseline'],
      cause: error,
    });
  }
}

class Unexpected extends Error {}

/** A value of the file with its place in it. */
interface Found {
  readonly value: unknown;
  readonly path: string;
}

function parseBaseline(value: unknown, file: string): Baseline {
  const report = { value, path: '' };
  const environment = at(report, 'environment');
  // Results of before there was a grid are their only cell.
  const grid = at(report, 'grid');
  return {
    file,
    models: [
      modelOf(at(report, 'teacher'), 'teacher'),
      ...list(at(report, 'students')).map((student) => modelOf(student, 'student')),
    ],
    cells: grid.value === undefined ? [cellOf(report)] : list(grid).map(cellOf),
    data: optional(at(report, 'data'), (data) => text(at(data, 'sha256'))),
    processor: text(at(at(environment, 'cpu'), 'model')),
    onnxruntime: text(at(environment, 'onnxruntime')),
  };
}

function modelOf(model: Found, role: BaselineModel['role']): BaselineModel {
  return {
    name: text(at(model, 'name')),
    role,
    sha256: text(at(model, 'sha256')),
    bytes: positive(at(model, 'bytes')),
    metric: optional(at(model, 'metric'), (metric) => ({
      name: text(at(metric, 'name')),
      value: number(at(metric, 'value')),
    })),
    answers: optional(at(model, 'answers'), (answers) =>
      text(answers)
        .split(' ')
        .map((word) => number({ value: word === '' ? undefined : Number(word), path: answers.path })),
    ),
  };
}

function cellOf(cell: Found): BaselineCell {
  const scenario = at(cell, 'scenario');
  const { value: valid, path } = at(at(cell, 'control'), 'valid');
  if (typeof valid !== 'boolean') throw unexpected({ value: valid, path }, 'true or false');
  const samples = list(at(cell, 'samples')).filter((sample) => text(at(sample, 'role')) !== 'control');
  const samplesMs = new Map(
    samples.map((sample) => [text(at(sample, 'name')), list(at(sample, 'ms')).map(positive)] as const),
  );
  const rounds = new Set([...samplesMs.values()].map(({ length }) => length));
  const [count = 0] = rounds;
  if (rounds.size !== 1 || count === 0)
    throw unexpected(at(cell, 'samples'), 'the same number of samples of each model');
  // Older results are of one process.
  const openings = optional(at(cell, 'openings'), (found) => list(found).map(whole)) ?? [count];
  if (openings.reduce((sum, opening) => sum + opening, 0) !== count)
    throw unexpected(at(cell, 'openings'), `numbers that add up to the ${count} samples`);
  return {
    device: text(at(scenario, 'device')),
    threads: positive(at(scenario, 'threads')),
    batch: positive(at(scenario, 'batch')),
    length: lengthOf(at(scenario, 'length')),
    tokenize: at(scenario, 'tokenize').value === 'in' ? 'in' : 'out',
    valid,
    openings,
    samplesMs,
  };
}

function lengthOf(length: Found): Length {
  return length.value === 'natural' ? 'natural' : positive(length);
}

function at({ value, path }: Found, key: string): Found {
  const here = path === '' ? key : `${path}.${key}`;
  if (typeof value !== 'object' || value === null) throw unexpected({ value, path: path || 'the file' }, 'an object');
  return { value: (value as Record<string, unknown>)[key], path: here };
}

function list(found: Found): Found[] {
  if (!Array.isArray(found.value)) throw unexpected(found, 'a list');
  return found.value.map((value: unknown, i) => ({ value, path: `${found.path}.${i}` }));
}

function text(found: Found): string {
  if (typeof found.value !== 'string') throw unexpected(found, 'text');
  return found.value;
}

function number(found: Found): number {
  if (typeof found.value !== 'number' || !Number.isFinite(found.value)) throw unexpected(found, 'a number');
  return found.value;
}

function positive(found: Found): number {
  if (number(found) <= 0) throw unexpected(found, 'a number above 0');
  return found.value as number;
}

function whole(found: Found): number {
  if (!Number.isInteger(positive(found))) throw unexpected(found, 'a whole number');
  return found.value as number;
}

function optional<T>(found: Found, read: (found: Found) => T): T | null {
  return found.value === undefined || found.value === null ? null : read(found);
}

function unexpected({ value, path }: Found, expected: string): Unexpected {
  const shown = JSON.stringify(value)?.slice(0, 40) ?? 'nothing';
  return new Unexpected(`${path} is ${shown}, expected ${expected}`);
}
