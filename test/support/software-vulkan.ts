/** WebGPU without a GPU: a Vulkan driver that computes on the processor, where one is installed. */
import { existsSync } from 'node:fs';
import { probeDevices } from '../../src/engine/index.ts';
import { hasKoffi } from './backends.ts';

const manifests = ['/usr/lib/chromium/vk_swiftshader_icd.json', '/usr/share/vulkan/icd.d/lvp_icd.x86_64.json'];

/** Environment variables under which the driver is found. */
export function softwareVulkan(): Record<string, string> {
  const manifest = manifests.find((path) => existsSync(path));
  return manifest === undefined ? {} : { VK_ICD_FILENAMES: manifest };
}

/** Makes this process use it unless something else is asked for; a reason for a test runner's `skip`, or false. */
export async function useSoftwareVulkan(): Promise<string | false> {
  if (!hasKoffi) return 'koffi is not installed, so that adapters cannot be looked at';
  if (!process.env['VK_ICD_FILENAMES'] && !process.env['VK_DRIVER_FILES']) Object.assign(process.env, softwareVulkan());
  const { devices } = await probeDevices();
  const webgpu = devices.find(({ kind }) => kind === 'webgpu');
  return webgpu?.available ? false : `no webgpu here: ${webgpu?.reason}`;
}
