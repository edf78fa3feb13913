/** The folder of a run: what it was started with, and the promise that a resumed run is the same run. */
import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { fileError, removeUnfinished, writeFileAtomic } from '../files/index.ts';
import { differences, isJsonObject, type Json, type JsonObject } from './json.ts';
import { openMetricsLog, type MetricsLog } from './metrics-log.ts';
import { lockFolder, lockName } from './run-lock.ts';
import { shellText } from './shell-text.ts';
import { kdxVersions } from './versions.ts';

const recordName = 'run.json';

/** What makes two runs the same: equal values give equal bits on the same device with the same versions. */
export interface RunIdentity {
  /** Such as `distill`. */
  readonly command: string;
  /** The resolved recipe, with every default. */
  readonly recipe: JsonObject;
  /** SHA-256 by what it is of: teacher, train, dev, ... */
  readonly inputs: Readonly<Record<string, string>>;
}

export interface RunStart extends RunIdentity {
  /** A recipe of an earlier version with the defaults of the options that it did not have. */
  readonly withDefaults?: (recipe: JsonObject) => JsonObject;
  readonly seed: number;
  /** For people: what the engine says of its device. */
  readonly device: string;
  /** Go on with the run in the folder; in an empty folder, start. */
  readonly resume: boolean;
  /** The command line after `kdx`. */
  readonly arguments?: readonly string[];
}

/** Content of run.json. */
export interface RunRecord extends RunIdentity {
  readonly format: 1;
  readonly seed: number;
  readonly device: string;
  readonly arguments: readonly string[];
  readonly versions: Readonly<Record<string, string>>;
  /** ISO 8601 time of the first start. */
  readonly started: string;
}

export interface RunFolder {
  readonly path: string;
  readonly record: RunRecord;
  /** Whether an earlier start of this run was found. */
  readonly resumed: boolean;
  /** Reasons why a resumed run may differ in its last bits: another device, other versions. */
  readonly warnings: readonly string[];
  file(name: string): string;
  /** metrics.jsonl, cut back to the first `step` steps. */
  metrics(step: number): Promise<MetricsLog>;
  /** After a failure: leaves no trace of a new run that has nothing but its record. */
  discard(): Promise<void>;
  /** Gives the lock back. */
  close(): Promise<void>;
}

/**
 * Makes the folder, or finds it again with `resume`, and locks it.
 * @throws KdxError `run-exists` (another run or other files are there), `run-mismatch` (resume with something changed),
 *   `run-locked`, `corrupt-run`
 */
export async function createRunFolder(path: string, start: RunStart): Promise<RunFolder> {
  await refuseForeign(path, start.resume);
  const made = await mkdir(path, { recursive: true }).catch((error: unknown) => {
    throw fileError(error, path);
  });
  const unlock = await lockFolder(path).catch(async (error: unknown) => {
    await removeMade(path, made);
    throw error;
  });
  try {
    const found = await readRecord(path);
    if (found && !start.resume) throw runExists(path, 'holds another run', true);
    const record = found ?? newRecord(start);
    const warnings = found ? compare(path, found, start) : [];
    await removeUnfinished(path);
    if (!found) await writeFileAtomic(join(path, recordName), `${JSON.stringify(record, null, 2)}\n`);
    return {
      path,
      record,
      resumed: found !== undefined,
      warnings,
      file: (name) => join(path, name),
      metrics: (step) => openMetricsLog(join(path, 'metrics.jsonl'), step),
      async discard() {
        const names = await readdir(path);
        if (found || names.some((name) => name !== recordName && name !== lockName)) return;
        await rm(join(path, recordName), { force: true });
        await unlock();
        await removeMade(path, made);
      },
      close: unlock,
    };
  } catch (error) {
    await unlock();
    await removeMade(path, made);
    throw error;
  }
}

/** Removes the folders that were made for a run, from the innermost on, as far as they are empty. */
async function removeMade(path: string, made: string | undefined): Promise<void> {
  for (let folder = resolve(path); made !== undefined; folder = dirname(folder)) {
    const removed = await rmdir(folder).then(
      () => true,
      () => false,
    );
    if (!removed || folder === resolve(made)) return;
  }
}

/** Before anything is written: only an empty folder, or one that already holds a run, is taken. */
async function refuseForeign(path: string, resume: boolean): Promise<void> {
  let names: string[];
  try {
    names = await readdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    if (code !== 'ENOTDIR') throw fileError(error, path);
    throw new KdxError('not-a-folder', `${path}, or a part of it, is a file; a run needs a folder`, {
      suggestions: ['--out with a folder that is new or empty'],
      cause: error,
    });
  }
  if (names.includes(recordName)) {
    if (!resume) throw runExists(path, 'holds another run', true);
    return;
  }
  const foreign = names.filter((name) => name !== lockName && !name.endsWith('.tmp'));
  if (foreign.length > 0) throw runExists(path, `is not empty (${foreign.slice(0, 3).join(', ')})`, false);
}

function runExists(path: string, what: string, resumable: boolean): KdxError {
  return new KdxError('run-exists', `${path} ${what}`, {
    suggestions: [
      ...(resumable ? ['--resume to go on with that run'] : []),
      '--out with a folder that is new or empty',
    ],
  });
}

async function readRecord(path: string): Promise<RunRecord | undefined> {
  const file = join(path, recordName);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, file);
  }
  const record = parseJson(text);
  if (!isJsonObject(record) || record.format !== 1)
    throw new KdxError('corrupt-run', `${file} is not the record of a run written by this version of kdx`, {
      suggestions: ['--out with a folder that is new or empty'],
    });
  return record as unknown as RunRecord;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function newRecord({
  command,
  recipe,
  inputs,
  seed,
  device,
  arguments: words = process.argv.slice(2),
}: RunStart): RunRecord {
  const started = new Date().toISOString();
  return { format: 1, command, recipe, inputs, seed, device, arguments: words, versions: kdxVersions(), started };
}

/** Refuses another run; returns what may change the bits of the same one. */
function compare(path: string, found: RunRecord, start: RunStart): string[] {
  const changed = [
    ...differences(found.command, start.command, 'command'),
    ...differences(found.seed, start.seed, 'seed'),
    ...differences(asJson(start.withDefaults?.(found.recipe) ?? found.recipe), asJson(start.recipe), 'recipe'),
    ...differences(found.inputs, start.inputs, 'inputs'),
  ];
  if (changed.length > 0)
    throw new KdxError('run-mismatch', `the run in ${path} was started differently\n${indented(changed)}`, {
      suggestions: [
        `repeat its command line: ${commandLine(found)}`,
        ...otherVersion(found.versions.kdx),
        'another --out for a new run',
      ],
    });
  return [
    ...differences(found.device, start.device, 'device'),
    ...differences(found.versions, kdxVersions(), 'versions'),
  ].map((line) => `${line}: the last bits of the result may differ from an uninterrupted run`);
}

/** The recipe of the same command line may differ between versions, such as by an option that is new. */
function otherVersion(before: string | undefined): string[] {
  const { kdx: now } = kdxVersions();
  return before === undefined || before === now ? [] : [`kdx ${before}, which began it (this is kdx ${now})`];
}

function commandLine({ arguments: words }: RunRecord): string {
  return shellText(['kdx', ...words.filter((word) => word !== '--resume'), '--resume']);
}

/** As it comes back from the file: without undefined values. */
function asJson(value: JsonObject): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}`).join('\n');
}
