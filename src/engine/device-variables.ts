/** What another process needs in order to compute on a device by onnxruntime-node. */
import { delimiter, dirname } from 'node:path';
import { searchDevices } from './device-search.ts';
import type { DeviceKind } from './engine.ts';
import { loadKoffi, nativeLibrary } from './library.ts';
import { runtimeBesideProvider } from './provider-folder.ts';

/**
 * Environment variables to be added to its own: where libraries are that the system would not find by their names, and, on
 * CUDA, that float32 is not rounded to TensorFloat-32, for which the binding has no option.
 * @param device one that is available
 */
export async function deviceVariables(device: DeviceKind): Promise<Readonly<Record<string, string>>> {
  if (device === 'cpu') return {};
  const library = nativeLibrary();
  const { cuda, vulkan } = searchDevices(library, await loadKoffi());
  if (device === 'webgpu') {
    const { loader, besideDriver } = vulkan();
    return loader !== undefined && besideDriver ? libraryPath([dirname(loader)]) : {};
  }
  const { files, libraries } = cuda();
  // The binding looks for ONNX Runtime here before it looks beside itself.
  const runtime = runtimeBesideProvider(library, files);
  const own = runtime === library.path ? [] : [dirname(runtime)];
  const tf32 = process.env['NVIDIA_TF32_OVERRIDE'] ?? '0';
  return { ...libraryPath([...own, ...libraries.map((path) => dirname(path))]), NVIDIA_TF32_OVERRIDE: tf32 };
}

function libraryPath(folders: readonly string[]): Record<string, string> {
  const before = process.env['LD_LIBRARY_PATH'] ?? '';
  return { LD_LIBRARY_PATH: [...new Set([...folders, before])].filter((folder) => folder !== '').join(delimiter) };
}
