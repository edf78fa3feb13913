/** What another process needs in order to compute on a device by onnxruntime-node. */
import { delimiter, dirname } from 'node:path';
import { libraryFolders } from './devices.ts';
import type { DeviceKind } from './engine.ts';
import { loadKoffi } from './library.ts';
import { findVulkan } from './vulkan.ts';

/**
 * Environment variables to be added to its own: where libraries are that the system would not find by their names.
 * @param device one that is available
 */
export async function deviceVariables(device: DeviceKind): Promise<Readonly<Record<string, string>>> {
  if (device !== 'webgpu') return {};
  const koffi = await loadKoffi();
  if (koffi instanceof Error) return {};
  const { loader, besideDriver } = findVulkan(libraryFolders(), process.env, koffi);
  if (loader === undefined || !besideDriver) return {};
  const folders = [dirname(loader), process.env['LD_LIBRARY_PATH'] ?? ''].filter((folder) => folder !== '');
  return { LD_LIBRARY_PATH: folders.join(delimiter) };
}
