/** What `kdx export` prints of the runtimes. */
import { basename } from 'node:path/posix';
import { formatPercent, renderTable, significant } from 'kdx/cli';
import type { RuntimeCheck } from './check.ts';

interface CheckedFile {
  readonly path: string;
  readonly runtimes: readonly RuntimeCheck[];
}

/** A line for each file and runtime, and why a runtime was left out. */
export function runtimesText(files: readonly CheckedFile[]): string {
  const rows = files.flatMap(({ path, runtimes }) => runtimes.flatMap((check) => row(basename(path), check)));
  const skipped = new Set(files.flatMap(({ runtimes }) => runtimes.flatMap(reasonOf)));
  const table = renderTable(
    [
      { title: 'file' },
      { title: 'runtime' },
      ...['texts', 'labels', 'largest', 'rms', 'KL'].map((title) => ({ title, align: 'right' as const })),
    ],
    rows,
  );
  return [table, ...skipped].join('\n');
}

function row(file: string, check: RuntimeCheck): string[][] {
  if ('skipped' in check) return [];
  const { sentences, agreement, maxAbsDifference, rmsDifference, klDivergence } = check;
  const figures = [maxAbsDifference, rmsDifference, klDivergence].map(significant);
  return [[file, shortName(check), String(sentences), formatPercent(agreement), ...figures]];
}

function reasonOf(check: RuntimeCheck): string[] {
  return 'skipped' in check ? [`not run on ${shortName(check)}: ${check.skipped}`] : [];
}

/** `node 1.30.0`, `wasm 1.30.0`. */
function shortName({ name, version }: RuntimeCheck): string {
  return [name === 'onnxruntime-node' ? 'node' : 'wasm', version].join(' ').trim();
}
