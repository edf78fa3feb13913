/** The README of the plugin lists every named recipe, every key of a recipe and every method with its options. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { methods } from '../../plugins/distill/src/methods/index.ts';
import { presets } from '../../plugins/distill/src/recipe/presets.ts';
import { distillSchema } from '../../plugins/distill/src/recipe/schema.ts';
import { stageTrainSchema } from '../../src/recipe/index.ts';

const text = readFileSync(new URL('../../plugins/distill/README.md', import.meta.url), 'utf8');

/** Cells of the rows of the table with this first column; a first cell may name several. */
function table(column: string): Map<string, readonly string[]> {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => new RegExp(`^\\| ${column} +\\|`).test(line)) + 2;
  assert.ok(start >= 2, `a table of ${column}`);
  const rows = lines.slice(start, start + lines.slice(start).findIndex((line) => !line.startsWith('|')));
  const cells = rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  const named = cells.flatMap(([names, ...rest]) =>
    [...names!.matchAll(/`([^`]+)`/g)].map(([, name]) => [name!, rest] as const),
  );
  assert.equal(new Set(named.map(([name]) => name)).size, named.length, 'no name is there twice');
  return new Map(named);
}

interface SchemaNode {
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
}

/** Defaults of all keys by path, undefined where there is none; objects and lists of objects are not keys themselves. */
function defaultsOf({ properties = {} }: SchemaNode, prefix: string): [string, unknown][] {
  return Object.entries(properties).flatMap(([key, child]): [string, unknown][] => {
    const path = prefix + key;
    const inner = [child, ...(child.anyOf ?? [])].flatMap((node) => defaultsOf(node, `${path}.`));
    const elements = child.items ? defaultsOf(child.items, `${path}[].`) : [];
    const isObject = child.properties !== undefined || elements.length > 0 || path === 'stages[].losses';
    return [...(isObject ? [] : [[path, child.default] as [string, unknown]]), ...inner, ...elements];
  });
}

function schemaKeys(schema: z.ZodType, prefix = ''): [string, unknown][] {
  return defaultsOf(z.toJSONSchema(schema, { io: 'input' }) as SchemaNode, prefix);
}

function assertListed(column: string, expected: readonly (readonly [string, unknown])[]): void {
  const listed = table(column);
  assert.deepEqual([...listed.keys()].sort(), expected.map(([key]) => key).sort());
  for (const [key, value] of expected) {
    const code = /^`(.*)`$/.exec(listed.get(key)![0]!);
    if (value === undefined) assert.doesNotMatch(code?.[1] ?? '', /^(["[{\d.]|true|false)/, `${key} has no default`);
    else assert.deepEqual(JSON.parse(code?.[1] ?? '"none"'), value, key);
  }
}

describe('the README', () => {
  it('lists every key of a recipe with its default', () => {
    // What losses have beside their options is the same for all methods.
    const ofLosses: [string, unknown][] = [
      ['stages[].losses[].method', undefined],
      ['stages[].losses[].weight', 1],
    ];
    const [ofStage, keys] = [schemaKeys(stageTrainSchema), schemaKeys(distillSchema)];
    const others = keys.filter(([key]) => !key.startsWith('stages[].train.'));
    assert.equal(others.length + ofStage.length, keys.length);
    assertListed('key', [...others, ['stages[].train', undefined], ...ofLosses]);
    const [, meaning] = table('key').get('stages[].train')!;
    assert.deepEqual(
      [...meaning!.matchAll(/`(\w+)`/g)].map(([, key]) => key).slice(1),
      ofStage.map(([key]) => key),
    );
  });

  it('lists every option of every method with its default', () => {
    const options = Object.entries(methods).flatMap(([name, method]) => schemaKeys(method.options, `${name}.`));
    assertListed('option', options);
  });

  for (const [column, all] of Object.entries({ recipe: presets, method: methods }))
    it(`lists every ${column} with what it is and where it comes from`, () => {
      const expected = Object.entries(all).map(([name, { summary, source }]) => [name, [summary, source]] as const);
      assert.deepEqual(table(column), new Map(expected));
    });
});
