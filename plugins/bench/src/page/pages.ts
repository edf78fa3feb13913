/** The files beside bench.json. */
import { join } from 'node:path';
import { writeFileAtomic } from 'kdx/files';
import type { BenchReport } from '../report.ts';
import { renderHtml } from './render-html.ts';
import { renderMarkdown } from './render-markdown.ts';

/** Writes report.html and report.md into a folder that is there; earlier ones are replaced. @throws KdxError `disk-full`, ... */
export async function writePages(report: BenchReport, folder: string): Promise<void> {
  await writeFileAtomic(join(folder, 'report.html'), await renderHtml(report));
  await writeFileAtomic(join(folder, 'report.md'), renderMarkdown(report));
}
