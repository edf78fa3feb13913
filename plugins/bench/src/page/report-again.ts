/** Pages of a run that was measured before. */
import { makeFolder } from '../output-folder.ts';
import type { BenchReport } from '../report.ts';
import { writePages } from './pages.ts';
import { readReport } from './saved-report.ts';

/**
 * Writes report.html and report.md from a bench.json.
 * @throws KdxError of readReport; `not-a-folder`, `disk-full`, ...
 */
export async function reportAgain(file: string, out: string): Promise<BenchReport> {
  const report = await readReport(file);
  await makeFolder(out);
  await writePages(report, out);
  return report;
}
