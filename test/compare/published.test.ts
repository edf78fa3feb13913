/** The published tables are those that the published cells give. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { renderMarkdown, summarize, type Cell, type Comparison } from '../../plugins/distill/src/compare/index.ts';

const docs = fileURLToPath(new URL('../../docs', import.meta.url));
const folder = join(docs, 'comparisons');
const json = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, 'utf8'));

/** Rows of tables, whatever the widths of their columns. */
function rowsOf(markdown: string): string[] {
  return markdown
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[\s|:-]+$/.test(line))
    .map((line) => line.replace(/\s+/g, ' '));
}

const entries = await readdir(folder, { withFileTypes: true });
const names = entries.filter((entry) => entry.isDirectory());
for (const { name } of names) {
  // Of one that was made for its cost alone, the last table is.
  const isCost = name.endsWith('-cost');
  test(`${name}: every row of its ${isCost ? 'last table' : 'tables'} is in results.md`, async () => {
    const cells: Cell[] = [];
    for (const file of await readdir(join(folder, name, 'cells')))
      cells.push((await json(join(folder, name, 'cells', file))) as Cell);
    const setting = (await json(join(folder, name, 'comparison.json'))) as Omit<Comparison, 'cells'>;
    const published = new Set(rowsOf(await readFile(join(docs, 'results.md'), 'utf8')));
    const methods = setting.plan!.methods.length;
    const all = rowsOf(renderMarkdown(summarize({ ...setting, cells })));
    const rows = isCost ? all.slice(-methods - 2) : all;
    assert.ok(rows.length > (isCost ? 1 : 3) * methods);
    for (const row of rows) assert.ok(published.has(row), row);
  });
}
