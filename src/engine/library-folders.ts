/** Where this system looks for shared libraries, and finding one there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const systemFolders = [
  ...['/usr/lib', '/usr/lib64', '/lib', '/lib64', '/usr/local/lib', '/usr/local/cuda/lib64', '/usr/lib/wsl/lib'],
  ...['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu'],
];
/** Folders that packages (of CUDA, of a driver) add to those of the loader; see ldconfig(8). */
const loaderConfigurations = '/etc/ld.so.conf.d';

/** Folders in which this system looks for libraries. */
export function libraryFolders(): string[] {
  const variable = (process.env.LD_LIBRARY_PATH ?? '').split(':').filter((folder) => folder !== '');
  return [...new Set([...variable, ...systemFolders, ...configuredFolders()])];
}

function configuredFolders(): string[] {
  const files = namesIn(loaderConfigurations).filter((name) => name.endsWith('.conf'));
  return files.flatMap((name) => {
    const lines = readFileSync(join(loaderConfigurations, name), 'utf8').split('\n');
    return lines.map((line) => line.trim()).filter((line) => line.startsWith('/'));
  });
}

/** The first of the folders that has a file. */
export function findLibrary(file: string, folders: readonly string[]): string | undefined {
  return folders.map((folder) => join(folder, file)).find((path) => existsSync(path));
}

/** File names in a folder; none where there is no such folder. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
