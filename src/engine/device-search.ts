/** Looking at this machine for devices: each thing at most once, and only when it is asked for. */
import { selectAdapter, type Selection } from './adapter-selection.ts';
import { findCuda, type Cuda } from './cuda.ts';
import { withVariables } from './environment-variables.ts';
import type { Koffi, NativeLibrary } from './library.ts';
import { libraryFolders } from './library-folders.ts';
import { providerVariable } from './provider-files.ts';
import { findVulkan, listAdapters, type Vulkan } from './vulkan.ts';

export interface DeviceSearch {
  readonly cuda: () => Cuda;
  readonly vulkan: () => Vulkan;
  /** How to choose an adapter by its number. */
  readonly selectAdapter: (index: number) => Selection;
}

export function searchDevices(library: NativeLibrary, koffi: Koffi | Error): DeviceSearch {
  const usable = koffi instanceof Error ? undefined : koffi;
  const folders = once(libraryFolders);
  const vulkan = once(() => findVulkan(folders(), process.env, usable));
  return {
    cuda: once(() => findCuda({ library, named: process.env[providerVariable], folders: folders() }, usable)),
    vulkan,
    selectAdapter(index) {
      const { adapters = [], drivers, loader } = vulkan();
      const list = (variables: Readonly<Record<string, string>>) =>
        withVariables(variables, () => listAdapters(usable as Koffi, loader as string));
      return selectAdapter(index, adapters, drivers, list);
    },
  };
}

function once<T extends object>(look: () => T): () => T {
  let found: T | undefined;
  return () => (found ??= look());
}
