/** Measurements on other devices: a section each, a table for each combination. */
import { formatBytes, significant } from 'kdx/cli';
import type { ReportTable } from 'kdx/page';
import type { BenchReport } from '../report.ts';
import type { ImportedRun } from '../runner/imported-run.ts';
import { combinationText } from './grid-table.ts';
import { speedCell, valueCell } from './model-table.ts';
import { counted } from './number-text.ts';
import { controlText } from './statements.ts';

export interface ImportedSection {
  readonly title: string;
  /** Runtime and device, in a line. */
  readonly device: string;
  readonly tables: readonly ReportTable[];
  /** Controls, what was left out, warnings. */
  readonly notes: readonly string[];
}

export function importedSections({ imported = [] }: BenchReport): ImportedSection[] {
  return imported.map((run, i) => ({
    title: `On ${run.label}`,
    device: deviceLine(run),
    tables: run.cells.map((cell, j) => ({
      title: `${combinationText(cell)}, ${counted(cell.rounds, 'round')}`,
      columns: ['model', 'p50 ms', 'p90 ms', 'speed'],
      rows: cell.models.map(({ name, latencyMs: { p50, p90, ci95, p90Ci95 }, speedup }, k) => {
        const path = `imported.${i}.cells.${j}.models.${k}`;
        return [
          { text: name },
          valueCell(p50, `${path}.latencyMs.p50`, significant, ci95),
          valueCell(p90, `${path}.latencyMs.p90`, significant, p90Ci95),
          speedCell(speedup, path),
        ];
      }),
    })),
    notes: notesOf(run),
  }));
}

function deviceLine({ runtime, backend, environment }: ImportedRun): string {
  const { os, cpuModel, gpu, logicalCores, memoryBytes, node, userAgent, timerResolutionMs } = environment;
  const parts = [
    `${runtime.name} ${runtime.version} (${backend})`,
    cpuModel,
    gpu,
    counted(logicalCores, 'processor'),
    memoryBytes === null ? null : formatBytes(memoryBytes),
    os,
    node === null ? null : `node ${node}`,
    userAgent,
    `clock step ${significant(timerResolutionMs)} ms`,
  ];
  return parts.filter((part) => part !== null).join(', ');
}

function notesOf({ cells, skipped, warnings }: ImportedRun): string[] {
  return [
    ...cells.map(
      (cell) =>
        `${combinationText(cell)}: ${controlText(cell.control)}; ${cell.stopReason}` +
        (cell.control.valid ? '' : '. It excludes 1, so no speed is told here'),
    ),
    ...skipped.map(
      ({ batch, length, threads, reason }) =>
        `${batch} x ${length}, ${counted(threads, 'thread')}: left out, ${reason}`,
    ),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
}
