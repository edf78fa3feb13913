/** Results of other devices put into a report, or made into one. */
import { join } from 'node:path';
import { writeFileAtomic } from 'kdx/files';
import type { Environment } from '../environment.ts';
import { makeFolder } from '../output-folder.ts';
import { readReport, writePages } from '../page/index.ts';
import { noLikeness } from '../quality.ts';
import { benchReport, type BenchReport, type ModelFacts } from '../report.ts';
import { importedCells, importedRun, type ImportedRun, type ModelIdentity } from './imported-run.ts';
import type { PlannedModel, RunnerResult } from './plan.ts';
import { readResult } from './result-file.ts';

/** @param models the teacher first. @throws KdxError of readResult; `import-mismatch` */
export async function readImports(files: readonly string[], models: readonly ModelIdentity[]): Promise<ImportedRun[]> {
  const runs: ImportedRun[] = [];
  for (const file of files) runs.push(importedRun(await readResult(file), models, file));
  return runs;
}

/** Each run once, and labels that tell them apart: `phone`, `phone (2)`. */
export function withImports(report: BenchReport, runs: readonly ImportedRun[]): BenchReport {
  const imported: ImportedRun[] = [];
  const labels = new Set<string>();
  for (const run of [...(report.imported ?? []), ...runs]) {
    if (imported.some(({ sha256 }) => sha256 === run.sha256)) continue;
    let label = run.label;
    for (let n = 2; labels.has(label); n++) label = `${run.label} (${n})`;
    labels.add(label);
    imported.push({ ...run, label });
  }
  return imported.length === 0 ? report : { ...report, imported };
}

/**
 * Adds results to an earlier bench.json and writes it, report.html and report.md.
 * @throws KdxError of readReport, readImports; `not-a-folder`, `disk-full`, ...
 */
export async function importInto(reportFile: string, files: readonly string[], out: string): Promise<BenchReport> {
  const report = await readReport(reportFile);
  const merged = withImports(report, await readImports(files, [report.teacher, ...report.students]));
  await writeReport(merged, out);
  return merged;
}

/**
 * A report of results alone: what their plan tells of the models, and the times of the first one.
 * @param out folder for bench.json, report.html and report.md; without, nothing is written
 * @throws KdxError of readImports; `not-a-folder`, `disk-full`, ...
 */
export async function reportOfImports(
  [file, ...files]: readonly [string, ...string[]],
  out?: string,
): Promise<BenchReport> {
  const result = await readResult(file);
  const { models } = result.plan;
  const [teacher, ...students] = models.map(factsOf);
  const report = benchReport({
    teacher: teacher!,
    students: students.map((facts) => ({ ...facts, ...noLikeness })),
    cells: importedCells(
      result,
      models.map(({ name }) => name),
    ),
    coldStarts: new Map(),
    data: null,
    environment: environmentOf(result),
    interrupted: false,
  });
  const merged = withImports(report, [importedRun(result, models, file), ...(await readImports(files, models))]);
  if (out !== undefined) await writeReport(merged, out);
  return merged;
}

async function writeReport(report: BenchReport, out: string): Promise<void> {
  await makeFolder(out);
  await writeFileAtomic(join(out, 'bench.json'), `${JSON.stringify(report, null, 2)}\n`);
  await writePages(report, out);
}

function factsOf({ name, sha256, bytes, external, facts }: PlannedModel): ModelFacts {
  const unknown = { compressedBytes: null, metric: null, answers: null };
  return { name, sha256, ...facts, bytes: bytes + (external?.bytes ?? 0), ...unknown };
}

function environmentOf({ environment, runtime, plan, cells, warnings }: RunnerResult): Environment {
  const { cpuModel, userAgent, gpu, os, node, logicalCores, memoryBytes } = environment;
  return {
    cpu: {
      model: cpuModel ?? userAgent ?? 'unknown',
      flags: null,
      logicalCores,
      physicalCores: logicalCores,
      quotaCores: null,
      governor: null,
      virtualMachine: null,
    },
    memoryBytes,
    platform: gpu === null ? os : `${os}, ${gpu}`,
    node,
    onnxruntime: runtime.backend === 'cpu' ? runtime.version : `${runtime.version} (${runtime.backend})`,
    threads: plan.cells[cells[0]!.cell]!.scenario.threads,
    loadAverage: { before: null, after: null },
    stealTime: null,
    warnings,
  };
}
