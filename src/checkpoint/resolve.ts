/** From what a user calls a model to a local folder: a path, or a hub id that is downloaded or found in the cache. */
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';
import { cachedRepo, findSnapshot } from './hub-cache.ts';
import { HubUnreachable } from './hub-error.ts';
import { isCommit, isRevision, parseHubId } from './hub-id.ts';

export interface ResolveOptions {
  /** Branch, tag or commit on the hub; `org/name@revision` says the same. Default `main`. */
  readonly revision?: string;
  /** Default: HF_HUB_CACHE, HF_HOME/hub or ~/.cache/huggingface/hub, as all Hugging Face tools. */
  readonly cacheDir?: string;
  /** Use the cache only. Default: HF_HUB_OFFLINE. */
  readonly offline?: boolean;
  /** Default: HF_ENDPOINT or https://huggingface.co. */
  readonly endpoint?: string;
  /** Called as bytes of a download arrive. */
  readonly onProgress?: (file: string, bytes: number, totalBytes: number) => void;
}

/**
 * The folder of a model. An existing path wins over a hub id of the same spelling.
 * @throws KdxError `not-a-folder`, `file-not-found`, `hub-offline`, `hub-not-found`, `hub-not-authorized`,
 *   `hub-corrupt-download`, `unsafe-weights`, `not-a-checkpoint`
 */
export async function resolveModel(ref: string, options: ResolveOptions = {}): Promise<string> {
  if (await isFolder(ref)) return ref;
  const id = parseHubId(ref);
  if (id === undefined)
    throw new KdxError('file-not-found', `${ref} does not exist, and is no hub id (org/name or org/name@revision)`, {
      suggestions: ['give a Hugging Face folder with config.json, model.safetensors and tokenizer.json, or a hub id'],
    });
  const revision = options.revision ?? id.revision ?? 'main';
  if (!isRevision(revision)) throw new KdxError('hub-not-found', `${JSON.stringify(revision)} cannot be a revision`);

  const repo = cachedRepo(options.cacheDir ?? defaultCacheDir(), id.repo);
  const cached = await findSnapshot(repo, revision);
  if (cached !== undefined && isCommit(revision)) return cached;
  try {
    if (options.offline ?? isSet('HF_HUB_OFFLINE')) throw new HubUnreachable('the network is switched off');
    const hub = { endpoint: endpoint(options), token: token(), onProgress: options.onProgress };
    const { download } = await import('./hub-download.ts');
    return await download(hub, id.repo, revision, repo);
  } catch (error) {
    if (!(error instanceof HubUnreachable)) throw error;
    if (cached !== undefined) return cached;
    throw offlineError(id.repo, revision, error);
  }
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw fileError(error, path);
  });
  if (found === undefined || found.isDirectory()) return found !== undefined;
  throw new KdxError('not-a-folder', `${path} is a file, a checkpoint folder is needed`, {
    suggestions: ['give the folder that holds config.json and model.safetensors'],
  });
}

function defaultCacheDir(): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env;
  const home = HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
  return HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(home, 'hub');
}

function endpoint(options: ResolveOptions): string {
  return (options.endpoint ?? (process.env['HF_ENDPOINT'] || 'https://huggingface.co')).replace(/\/+$/, '');
}

/** The hub library takes only tokens of this form. */
function token(): string | undefined {
  const value = process.env['HF_TOKEN']?.trim();
  if (value === undefined || value === '') return undefined;
  if (value.startsWith('hf_')) return value;
  throw new KdxError('hub-not-authorized', 'HF_TOKEN is not a token of the hub: those begin with hf_');
}

function isSet(variable: string): boolean {
  return /^(1|on|yes|true)$/i.test(process.env[variable] ?? '');
}

function offlineError(repo: string, revision: string, cause: HubUnreachable): KdxError {
  return new KdxError(
    'hub-offline',
    `${repo} is no local folder, and its revision ${revision} can be had neither from the cache nor from the hub: ${cause.message}`,
    {
      suggestions: [
        'give a local folder with config.json, model.safetensors and tokenizer.json',
        `or run "hf download ${repo} --revision ${revision} --local-dir DIR" on a machine with network and copy DIR here`,
      ],
      cause,
    },
  );
}
