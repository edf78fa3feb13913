/** Choosing a Vulkan adapter for ONNX Runtime, which takes no number: by variables that hide the others from it. */
import type { Problem } from './device-report.ts';
import type { Adapter } from './vulkan.ts';

/** Environment variables under which ONNX Runtime takes the adapter, or why there are none. */
export type Selection = { readonly variables: Readonly<Record<string, string>> } | Problem;

/**
 * By variables of the Vulkan loader (docs/LoaderInterfaceArchitecture.md of KhronosGroup/Vulkan-Loader): one driver only, and
 * of its adapters one model only, which older loaders cannot do. What they show then is looked at before it is believed.
 * @param adapters all of them, in the order of their numbers
 * @param drivers manifests
 * @param list adapters under some variables
 */
export function selectAdapter(
  index: number,
  adapters: readonly Adapter[],
  drivers: readonly string[],
  list: (variables: Readonly<Record<string, string>>) => readonly Adapter[],
): Selection {
  const wanted = adapters[index] as Adapter;
  const isWanted = (adapter: Adapter) => identity(adapter) === identity(wanted);
  const byDriver = drivers
    .map((driver) => driverOnly(driver))
    .map((variables) => ({ variables, seen: list(variables) }));
  // The same adapter may be there by several drivers, and the same model in several cards.
  const places = byDriver.flatMap(({ variables, seen }) =>
    seen.flatMap((adapter, place) => (isWanted(adapter) ? [{ variables, before: seen.slice(0, place) }] : [])),
  );
  const source = places[adapters.slice(0, index).filter(isWanted).length];
  if (!source) return unknown(index, wanted);
  const [first] = source.before;
  if (!first) return { variables: source.variables };
  if (source.before.some(isWanted)) return alike(index, wanted);
  const variables = { ...source.variables, ...modelOnly(wanted) };
  const [taken] = list(variables);
  return taken && isWanted(taken) ? { variables } : inSameDriver(index, wanted, first);
}

function identity({ name, vendorId, deviceId }: Adapter): string {
  return `${vendorId}:${deviceId} ${name}`;
}

function driverOnly(manifest: string): Record<string, string> {
  return { VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest, VK_ADD_DRIVER_FILES: '' };
}

function modelOnly({ vendorId, deviceId }: Adapter): Record<string, string> {
  return { VK_LOADER_VENDOR_ID_FILTER: hex(vendorId), VK_LOADER_DEVICE_ID_FILTER: hex(deviceId) };
}

function hex(id: number): string {
  return `0x${id.toString(16)}`;
}

function unknown(index: number, { name }: Adapter): Problem {
  return {
    what: `webgpu:${index} (${name}) cannot be chosen: no driver gives it alone`,
    tries: ['set VK_DRIVER_FILES to the manifest of its driver and use --device webgpu'],
  };
}

function alike(index: number, { name }: Adapter): Problem {
  return {
    what: `webgpu:${index} cannot be chosen: its driver has several adapters of the name ${name}`,
    tries: [`use --device webgpu, which takes the first of them`],
  };
}

function inSameDriver(index: number, { name, vendorId, deviceId }: Adapter, first: Adapter): Problem {
  const ids = [vendorId, deviceId].map((id) => id.toString(16)).join(':');
  return {
    what: `webgpu:${index} (${name}) cannot be chosen: ${first.name} has the same driver, and is taken before it`,
    tries: [`with a driver of Mesa: set MESA_VK_DEVICE_SELECT=${ids}! and use --device webgpu`],
  };
}
