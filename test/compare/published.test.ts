/** The published tables are those that the published cells give. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  renderMarkdown,
  summarize,
  type Cell,
  type CompareReport,
  type Comparison,
} from '../../plugins/distill/src/compare/index.ts';
import { signedPoints } from '../../plugins/distill/src/compare/number-text.ts';

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

async function reportOf(name: string): Promise<CompareReport> {
  const cells: Cell[] = [];
  for (const file of await readdir(join(folder, name, 'cells')))
    cells.push((await json(join(folder, name, 'cells', file))) as Cell);
  const setting = (await json(join(folder, name, 'comparison.json'))) as Omit<Comparison, 'cells'>;
  return summarize({ ...setting, cells });
}

const results = rowsOf(await readFile(join(docs, 'results.md'), 'utf8'));
const entries = await readdir(folder, { withFileTypes: true });
const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
const reports = new Map(await Promise.all(names.map(async (name) => [name, await reportOf(name)] as const)));
for (const [name, report] of reports) {
  // Of one that was made for its cost alone, the last table is.
  const isCost = name.endsWith('-cost');
  test(`${name}: every row of its ${isCost ? 'last table' : 'tables'} is in results.md`, () => {
    const methods = report.fractions[0]!.rows.length;
    const all = rowsOf(renderMarkdown(report));
    const rows = isCost ? all.slice(-methods - 2) : all;
    assert.ok(rows.length > (isCost ? 1 : 3) * methods);
    for (const row of rows) assert.ok(results.includes(row), row);
  });
}

/** Columns of the table of all comparisons. */
const columns = {
  'SST-2, 1 %': 'sst2-1pct',
  'SST-2, 10 %': 'sst2-10pct',
  'SST-2': 'sst2-full',
  MRPC: 'mrpc',
  RTE: 'rte',
};

test('the table of all comparisons has what each of them says', () => {
  const compared = Object.values(columns).map((name) => reports.get(name)!);
  assert.ok(results.includes(`| | ${Object.keys(columns).join(' | ')} |`));
  const { rows } = compared[0]!.fractions[0]!;
  for (const { method } of rows.slice(1)) {
    const differences = compared.map(({ fractions }) => {
      const { versus } = fractions[0]!.rows.find((row) => row.method === method)!.result!;
      const { estimate, verdict } = versus.finetune!;
      const points = signedPoints(estimate, 1);
      return verdict === 'better' ? `**${points}**` : verdict === 'worse' ? `_${points}_` : points;
    });
    const row = `| ${method} | ${differences.join(' | ')} |`;
    assert.ok(results.includes(row), row);
  }
});
