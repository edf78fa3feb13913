/** A folder with ONNX Runtime and its CUDA provider side by side, as ONNX Runtime needs them: it loads providers from its own. */
import { createHash } from 'node:crypto';
import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { NativeLibrary } from './library.ts';
import { providerNames, type ProviderFiles } from './provider-files.ts';

/** The name by which onnxruntime-node, too, looks for it. */
const runtimeName = 'libonnxruntime.so.1';

/**
 * Path of ONNX Runtime in such a folder: the one that is there, or one below the user's cache with links to the files. A
 * library of onnxruntime-node is copied there: one that a process has loaded by another path keeps that path's folder.
 * @param cacheDir default: KDX_CACHE, or kdx below the user's cache folder
 */
export function runtimeBesideProvider(
  library: NativeLibrary,
  { folder, runtime }: ProviderFiles,
  cacheDir: string = defaultCacheDir(),
): string {
  if (folder === library.folder) return library.path;
  if (runtime !== undefined && basename(runtime) === runtimeName) return runtime;
  const source = runtime ?? library.path;
  const providers = providerNames.map((name) => join(folder, name));
  const target = join(cacheDir, `onnxruntime-cuda-${fingerprint([source, ...providers])}`);
  if (!existsSync(target)) fill(target, source, runtime === undefined, providers);
  return join(target, runtimeName);
}

function fill(target: string, source: string, copied: boolean, providers: readonly string[]): void {
  mkdirSync(dirname(target), { recursive: true });
  const folder = mkdtempSync(`${target}-`);
  const path = join(folder, runtimeName);
  if (copied) copyFileSync(source, path, constants.COPYFILE_FICLONE);
  else symlinkSync(source, path);
  for (const provider of providers) symlinkSync(provider, join(folder, basename(provider)));
  try {
    renameSync(folder, target);
  } catch (error) {
    rmSync(folder, { recursive: true });
    // Another process was faster.
    if (!existsSync(target)) throw error;
  }
}

/** Of files as they are now: others in their place get another folder. */
function fingerprint(files: readonly string[]): string {
  const facts = files.map((file) => {
    const { size, mtimeMs } = statSync(file);
    return [file, size, mtimeMs];
  });
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
}

function defaultCacheDir(): string {
  const { KDX_CACHE, XDG_CACHE_HOME } = process.env;
  return KDX_CACHE || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'kdx');
}
