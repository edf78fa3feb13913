/** The shape of the source tree: import directions, file sizes, a README per folder, no paths of one machine. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Lowest first: a folder of src imports folders of lower layers, and the common ones. */
const layers = [
  ['graph'],
  ['onnx', 'ops'],
  ['autodiff', 'passes', 'nn', 'optim'],
  ['engine', 'checkpoint', 'data'],
  ['classifier', 'timing'],
  ['train'],
  ['recipe', 'cli', 'page'],
  ['commands'],
];

/** For everybody; among themselves only what is listed. */
const common: Readonly<Record<string, readonly string[]>> = { errors: [], progress: [], files: ['errors'] };

const longestFile = 400;

interface Source {
  /** From the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** What a source may not do, one line each. */
function violations({ path, text }: Source): string[] {
  const found = importsOf(text).flatMap((specifier) => importViolation(path, specifier));
  if (/(^|\/)utils?\.ts$/.test(path)) found.push('is named utils');
  const lines = text.trimEnd().split('\n').length;
  if (lines > longestFile) found.push(`has ${lines} lines, at most ${longestFile}`);
  return found.map((what) => `${path} ${what}`);
}

/** Specifiers of static and dynamic imports and of re-exports; comments are left out. */
function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const statements = /^\s*(?:import|export)\s(?:[^'";]*?\sfrom\s)?\s*['"]([^'"]+)['"]/gm;
  const calls = /\bimport\s*\(\s*['"]([^'"]+)['"]/g;
  return [...code.matchAll(statements), ...code.matchAll(calls)].map((match) => match[1]!);
}

function importViolation(path: string, specifier: string): string[] {
  const bad = (reason: string) => [`imports ${specifier}: ${reason}`];
  const [place, folder = ''] = path.split('/');
  const mayUseOclif = place === 'plugins' || folder === 'cli' || folder === 'commands';
  if (specifier.startsWith('@oclif/'))
    return mayUseOclif ? [] : bad('only src/cli, src/commands and plugins use oclif');
  if (specifier.startsWith('@kdx/')) return bad('nobody imports a plugin');

  if (place === 'plugins') {
    if (specifier.startsWith('kdx/')) return /^kdx\/[a-z]+$/.test(specifier) ? [] : bad('a deep path into the core');
    if (!specifier.startsWith('.')) return [];
    const target = posix.join(posix.dirname(path), specifier);
    return target.startsWith(`plugins/${folder}/src/`) ? [] : bad('outside of the plugin');
  }

  if (specifier.startsWith('kdx/')) return bad('the core imports itself by relative paths');
  if (!specifier.startsWith('.')) return [];
  const target = posix.join(posix.dirname(path), specifier).split('/');
  if (target[0] !== 'src') return bad('outside of src');
  return mayImport(folder, target[1]!) ? [] : bad(`${folder} is not above ${target[1]}`);
}

function mayImport(from: string, to: string): boolean {
  if (from === to) return true;
  if (from in common) return common[from]!.includes(to);
  return to in common || rank(to) < rank(from);
}

function rank(folder: string): number {
  const found = layers.findIndex((names) => names.includes(folder));
  if (found < 0) throw new Error(`src/${folder} has no layer: give it one in test/layering.test.ts`);
  return found;
}

function sourcesUnder(folder: string): Source[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return ['node_modules', 'dist'].includes(entry.name) ? [] : sourcesUnder(path);
    return entry.name.endsWith('.ts') ? [{ path, text: readFileSync(join(root, path), 'utf8') }] : [];
  });
}

function foldersOf(folder: string): string[] {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => `${folder}/${entry.name}`);
}

test('the checker finds each kind of violation', () => {
  const cases: readonly [path: string, text: string, expected: RegExp][] = [
    ['src/graph/a.ts', "import { x } from '../ops/index.ts';", /graph is not above ops/],
    ['src/ops/a.ts', "import type { x } from '../onnx/index.ts';", /ops is not above onnx/],
    ['src/train/a.ts', "import {\n  x,\n  y,\n} from '../cli/index.ts';", /train is not above cli/],
    ['src/files/a.ts', "export * from '../graph/index.ts';", /files is not above graph/],
    ['src/nn/a.ts', "const x = await import('../engine/index.ts');", /nn is not above engine/],
    ['src/nn/a.ts', "import { x } from 'kdx/graph';", /relative paths/],
    ['src/nn/a.ts', "import x from '../../plugins/bench/src/index.ts';", /outside of src/],
    ['src/commands/a.ts', "import x from '@kdx/bench';", /nobody imports a plugin/],
    ['src/train/a.ts', "import { Flags } from '@oclif/core';", /use oclif/],
    ['plugins/bench/src/a.ts', "import x from 'kdx/graph/print';", /deep path/],
    ['plugins/bench/src/a.ts', "import x from '../../../src/graph/index.ts';", /outside of the plugin/],
    ['plugins/bench/src/a.ts', "import x from '@kdx/export';", /nobody imports a plugin/],
    ['src/nn/utils.ts', '', /named utils/],
    ['src/nn/a.ts', 'x;\n'.repeat(401), /401 lines/],
  ];
  for (const [path, text, expected] of cases) {
    const found = violations({ path, text });
    assert.equal(found.length, 1, `${path}: ${text}`);
    assert.match(found[0]!, expected);
  }
});

test('the checker accepts what is allowed', () => {
  const cases: readonly [path: string, text: string][] = [
    ['src/engine/a.ts', "import { x } from '../onnx/index.ts';\nimport { y } from '../errors/index.ts';"],
    ['src/commands/a.ts', "import { Args } from '@oclif/core';\nconst x = await import('../train/index.ts');"],
    ['src/graph/a.ts', "// import { x } from '../ops/index.ts';\n/* import '../cli/index.ts' */"],
    ['plugins/bench/src/commands/a.ts', "import x from 'kdx/graph';\nimport y from '../report.ts';"],
  ];
  for (const [path, text] of cases) assert.deepEqual(violations({ path, text }), []);
});

test('imports go down, files are small', () => {
  const sources = [...sourcesUnder('src'), ...sourcesUnder('plugins')];
  assert.ok(sources.length > 20, 'the sources were not found');
  assert.deepEqual(sources.flatMap(violations), []);
});

test('every folder says what it is', () => {
  const folders = [...foldersOf('src'), ...foldersOf('plugins')];
  assert.deepEqual(
    folders.filter((folder) => !existsSync(join(root, folder, 'README.md'))),
    [],
  );
});

const machinePath = new RegExp(`(?<![\\w.~*-])/(${['work', 'opt', 'root', 'home', 'Users'].join('|')})/[\\w.-]+`);

test('no file names a path of one machine', () => {
  assert.match(['see ', 'work', 'main'].join('/'), machinePath);
  assert.doesNotMatch('network/workers and src/work/x', machinePath);
  const found = projectFiles().flatMap((path) => {
    const match = machinePath.exec(readFileSync(join(root, path), 'utf8'));
    return match ? [`${path}: ${match[0]}`] : [];
  });
  assert.deepEqual(found, []);
});

/** Text files under version control, or to be: without git, those of the folders that hold sources. */
function projectFiles(): string[] {
  const text = /\.(ts|js|json|md|py|sh|yaml|yml)$|^\.ci\/|^\.[a-z]+$|^\.[a-z]+rc$/;
  const isText = (path: string) => text.test(path) && path !== 'package-lock.json';
  const isSmall = (path: string) => existsSync(join(root, path)) && statSync(join(root, path)).size < 1 << 20;
  try {
    const words = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const listed = execFileSync('git', words, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return listed.split('\0').filter((path) => isText(path) && isSmall(path));
  } catch {
    return ['src', 'plugins', 'test'].flatMap(sourcesUnder).map((source) => source.path);
  }
}
