/** Metrics of a run as JSON lines, one file per run folder. */
import { appendFile, readFile } from 'node:fs/promises';
import { fileError, writeFileAtomic } from '../files/index.ts';
import { isJsonObject, type JsonObject } from './json.ts';

/** `step`: optimizer steps done when the entry was written. */
export interface MetricsEntry extends JsonObject {
  readonly step: number;
}

export interface MetricsLog {
  /** Entries that were kept, oldest first. */
  readonly kept: readonly MetricsEntry[];
  append(entry: MetricsEntry): Promise<void>;
}

/**
 * Opens the file for a run that goes on after `step` steps (0: from the start). Later entries, and a line cut off by a
 * kill, are dropped: the resumed run writes them again.
 */
export async function openMetricsLog(path: string, step: number): Promise<MetricsLog> {
  const text = await readText(path);
  const kept = text
    .split('\n')
    .flatMap(parseEntry)
    .filter((entry) => step > 0 && entry.step <= step);
  const content = kept.map((entry) => `${JSON.stringify(entry)}\n`).join('');
  if (content !== text) await writeFileAtomic(path, content);
  return {
    kept,
    async append(entry) {
      try {
        await appendFile(path, `${JSON.stringify(entry)}\n`);
      } catch (error) {
        throw fileError(error, path);
      }
    },
  };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw fileError(error, path);
  }
}

function parseEntry(line: string): MetricsEntry[] {
  try {
    const value: unknown = JSON.parse(line);
    return isJsonObject(value) && typeof value.step === 'number' ? [value as MetricsEntry] : [];
  } catch {
    return [];
  }
}
