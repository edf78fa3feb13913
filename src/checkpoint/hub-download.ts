/** Downloads a checkpoint's files from the hub into the cache; size and hash are checked before a file gets its name. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ListFileEntry } from '@huggingface/hub';
import { downloadFile, listFiles, modelInfo } from '@huggingface/hub';
import { KdxError } from '../errors/index.ts';
import { writeFileAtomic } from '../files/index.ts';
import type { CachedRepo } from './hub-cache.ts';
import { hasSize, linkBlob, writeRef } from './hub-cache.ts';
import { ask } from './hub-error.ts';
import { isCommit } from './hub-id.ts';
import { checkNames, configFile, indexFile, readIndex, singleFile, tokenizerFileNames } from './weight-files.ts';

export interface Hub {
  readonly endpoint: string;
  readonly token: string | undefined;
  /** Called as bytes arrive. */
  readonly onProgress: ((file: string, bytes: number, totalBytes: number) => void) | undefined;
}

/**
 * Brings a revision's config, tokenizer files and safetensors into the cache and returns their folder.
 * The revision's ref is written last.
 * @throws HubUnreachable; KdxError `hub-not-found`, `hub-not-authorized`, `hub-corrupt-download`, `unsafe-weights`, ...
 */
export async function download(hub: Hub, id: string, revision: string, repo: CachedRepo): Promise<string> {
  const source = { repo: { type: 'model', name: id }, hubUrl: hub.endpoint, ...credentials(hub) } as const;
  const where = `${id}@${revision} at ${hub.endpoint}`;
  const { sha: commit } = await ask(where, () =>
    modelInfo({ name: id, revision, additionalFields: ['sha'], hubUrl: hub.endpoint, ...credentials(hub) }),
  );
  if (!isCommit(commit))
    throw new KdxError('hub-error', `${where} has no commit: ${JSON.stringify(commit)}`, { exitCode: 1 });

  const listed = await ask(where, () => collect(listFiles({ ...source, revision: commit })));
  const entries = new Map(listed.filter(({ type }) => type === 'file').map((entry) => [entry.path, entry]));
  checkNames([...entries.keys()], where);

  const snapshot = repo.snapshot(commit);
  const fetchFile = async (name: string) => {
    const entry = entries.get(name);
    if (entry === undefined) throw new KdxError('not-a-checkpoint', `${where} lacks ${name}, which ${indexFile} names`);
    const { size, hash } = identity(entry);
    const blob = repo.blob(hash);
    const pointer = join(snapshot, name);
    if (await hasSize(pointer, size)) return;
    if (!(await hasSize(blob, size))) {
      const content = await ask(where, () => downloadFile({ ...source, path: name, revision: commit, xet: false }));
      if (content === null) throw new KdxError('hub-not-found', `${where} lists ${name} but does not have it`);
      await writeFileAtomic(blob, verified(content.stream(), entry, `${name} of ${where}`, hub.onProgress));
    }
    await linkBlob(blob, pointer);
  };

  for (const name of [configFile, ...tokenizerFileNames]) if (entries.has(name)) await fetchFile(name);
  if (entries.has(singleFile)) await fetchFile(singleFile);
  else {
    await fetchFile(indexFile);
    for (const shard of (await readIndex(join(snapshot, indexFile))).keys()) await fetchFile(shard);
  }
  if (!isCommit(revision)) await writeRef(repo.ref(revision), commit);
  return snapshot;
}

function credentials(hub: Hub): { accessToken: string } | Record<string, never> {
  return hub.token === undefined ? {} : { accessToken: hub.token };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A large file is known by the SHA-256 of its content, a small one by git's blob hash; both name the blob. */
function identity(entry: ListFileEntry): { size: number; hash: string } {
  const { size, oid: hash } = entry.lfs ?? entry;
  if (Number.isSafeInteger(size) && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hash ?? ''))
    return { size, hash: hash as string };
  throw new KdxError('hub-error', `the hub describes ${entry.path} without size and hash`, { exitCode: 1 });
}

/** Passes chunks on; the last step throws when what went through is not the file that the hub listed. */
async function* verified(
  stream: ReadableStream<Uint8Array>,
  entry: ListFileEntry,
  what: string,
  onProgress: Hub['onProgress'],
): AsyncGenerator<Uint8Array> {
  const { size, hash } = identity(entry);
  const digest = entry.lfs ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
  const reader = stream.getReader();
  let received = 0;
  try {
    while (received <= size) {
      const { done, value } = await ask(what, () => reader.read());
      if (done) break;
      received += value.byteLength;
      digest.update(value);
      onProgress?.(entry.path, received, size);
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
  const found = digest.digest('hex');
  if (received === size && found === hash) return;
  const got = received > size ? `more than ${size} bytes` : `${received} bytes with hash ${found}`;
  throw new KdxError('hub-corrupt-download', `${what} arrived as ${got}, expected ${size} bytes with hash ${hash}`, {
    suggestions: ['nothing of it was kept: run the command again', 'check the proxy or mirror if it happens again'],
    exitCode: 1,
  });
}
