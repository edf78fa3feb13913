/** The process in which mutations are read: it says which it begins, and what came of it. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openEngine } from '../../src/engine/index.ts';
import { KdxError } from '../../src/errors/index.ts';
import { makeCorpus, writeLinks, type Files } from './corpus.ts';
import { mutationOf } from './mutation.ts';
import { classifyEvery, readers } from './readers.ts';

/** Sent before and after each mutation. */
export type Report =
  | { readonly type: 'ready' }
  | { readonly type: 'begin'; readonly seed: number; readonly what: string }
  | { readonly type: 'end'; readonly seed: number; readonly refused: boolean; readonly faults: readonly string[] };

/** Bytes by which one reading may raise the greatest memory of the process, beside the size of the file. */
const MEMORY_LIMIT = 256 * 2 ** 20;
/** Time that one reading may take, on a machine that is busy with other things. */
const TIME_LIMIT_MS = 5000;

const [from = 0, to = 0] = process.argv.slice(2).map(Number);
const send = (report: Report) => process.send?.(report);

const root = await mkdtemp(join(tmpdir(), 'kdx-fuzz-'));
const engine = await openEngine({ device: 'cpu', threads: 1 });
try {
  const corpus = await makeCorpus(root);
  const places = (await readdir(root)).length + 1;
  const dir = join(root, 'mutated');
  await warmUp(corpus.exported, corpus.checkpoint);
  send({ type: 'ready' });
  for (let seed = from; seed < to; seed++) {
    const { kind, what, path, files } = mutationOf(seed, corpus);
    send({ type: 'begin', seed, what: `${kind}: ${what}` });
    await place(dir, path, files);
    const before = (await readdir(dir, { recursive: true })).length;
    const faults: string[] = [];
    let refused = false;
    for (const [name, read] of Object.entries(readers[kind])) {
      if (name === 'classify' && seed % classifyEvery !== 0) continue;
      const outcome = await attempt(() => read(dir, path, engine));
      refused ||= outcome.refused;
      faults.push(...outcome.faults.map((fault) => `${name}: ${fault}`));
    }
    if ((await readdir(dir, { recursive: true })).length !== before || (await readdir(root)).length !== places)
      faults.push('a file was written');
    send({ type: 'end', seed, refused, faults });
  }
} finally {
  await engine.close();
  await rm(root, { recursive: true });
}

async function place(dir: string, mutated: string, files: Files): Promise<void> {
  await rm(dir, { recursive: true, force: true });
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), bytes);
  }
  await writeLinks(dirname(join(dir, mutated)), join(root, 'outside'));
}

/** What is loaded once is not counted against the first mutation. */
async function warmUp(...folders: readonly Files[]): Promise<void> {
  const dir = join(root, 'mutated');
  for (const files of folders) {
    await place(dir, 'config.json', files);
    for (const name of ['inspectFolder', 'classify']) await readers.config[name]?.(dir, 'config.json', engine);
  }
}

async function attempt(read: () => Promise<unknown>): Promise<{ refused: boolean; faults: string[] }> {
  const peak = () => process.resourceUsage().maxRSS * 1024;
  const faults: string[] = [];
  let refused = false;
  const before = peak();
  const start = performance.now();
  try {
    await read();
  } catch (error) {
    refused = true;
    if (!(error instanceof KdxError) || error.exitCode !== 2) faults.push((error as Error).stack ?? String(error));
  }
  const took = performance.now() - start;
  const grown = peak() - before;
  if (took > TIME_LIMIT_MS) faults.push(`took ${Math.round(took)} ms`);
  if (grown > MEMORY_LIMIT) faults.push(`took ${Math.round(grown / 2 ** 20)} MiB`);
  return { refused, faults };
}
