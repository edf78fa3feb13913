/** Vulkan as this machine has it: the loader, the drivers it would load, and the adapters behind them. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Koffi } from './library.ts';

/** VkPhysicalDeviceType, in the order of its numbers; "software" computes on the processor (SwiftShader, llvmpipe). */
const adapterTypes = ['other', 'integrated', 'discrete', 'virtual', 'software'] as const;

export interface Adapter {
  readonly name: string;
  readonly type: (typeof adapterTypes)[number];
  /** Numbers of the maker and of the model, by the PCI registry where the adapter is a card. */
  readonly vendorId: number;
  readonly deviceId: number;
}

export interface Vulkan {
  /** The library that loads drivers; undefined when there is none. */
  readonly loader: string | undefined;
  /** Whether the system would not find the loader by its name: it lies beside a driver, as in Chromium's package. */
  readonly besideDriver: boolean;
  /** Manifests of drivers whose library is there. */
  readonly drivers: readonly string[];
  /** Why there is no driver; empty when there is one. */
  readonly problem: string;
  /** Undefined when they cannot be looked at. In the order in which a WebGPU provider prefers them. */
  readonly adapters: readonly Adapter[] | undefined;
}

const loaderName = 'libvulkan.so.1';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What there is, found without ONNX Runtime.
 * @param folders in which the system looks for libraries
 * @param koffi to ask the drivers for their adapters; loads them into this process
 */
export function findVulkan(folders: readonly string[], environment: Environment, koffi: Koffi | undefined): Vulkan {
  const { drivers, problem } = findDrivers(environment);
  const find = (places: readonly string[]) => places.map((folder) => join(folder, loaderName)).find(existsSync);
  const known = find(folders);
  const loader = known ?? (koffi ? find(drivers.map((manifest) => dirname(manifest))) : undefined);
  const adapters = koffi && loader !== undefined && drivers.length > 0 ? listAdapters(koffi, loader) : undefined;
  return { loader, besideDriver: loader !== known, drivers, problem, adapters };
}

/** Manifests as the Vulkan loader finds them: from its variables, else from the folders of the system. */
function findDrivers(environment: Environment): Pick<Vulkan, 'drivers' | 'problem'> {
  const variable = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'].find((name) => environment[name]);
  const places = variable ? split(environment[variable]) : manifestFolders(environment).filter(existsSync);
  const manifests = [...places, ...split(environment['VK_ADD_DRIVER_FILES'])].flatMap(manifestsAt);
  const problems = manifests.flatMap((manifest) => manifestProblem(manifest) ?? []);
  const drivers = manifests.filter((manifest) => manifestProblem(manifest) === undefined);
  if (drivers.length > 0) return { drivers, problem: '' };
  const nothing = variable
    ? `${variable} names an empty folder`
    : 'none is installed in /usr/share/vulkan/icd.d and the like';
  return { drivers, problem: problems.length > 0 ? problems.join(', ') : nothing };
}

function split(list: string | undefined): string[] {
  return (list ?? '').split(':').filter((entry) => entry !== '');
}

function manifestFolders(environment: Environment): string[] {
  const home = environment['HOME'] ?? homedir();
  const roots = [
    environment['XDG_CONFIG_HOME'] ?? join(home, '.config'),
    ...split(environment['XDG_CONFIG_DIRS'] ?? '/etc/xdg'),
    '/etc',
    environment['XDG_DATA_HOME'] ?? join(home, '.local', 'share'),
    ...split(environment['XDG_DATA_DIRS'] ?? '/usr/local/share:/usr/share'),
  ];
  return [...new Set(roots)].map((root) => join(root, 'vulkan', 'icd.d'));
}

/** The manifests in a folder; what is no folder is taken for a manifest, be it there or not. */
function manifestsAt(place: string): string[] {
  if (!statSync(place, { throwIfNoEntry: false })?.isDirectory()) return [place];
  return readdirSync(place)
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(place, name));
}

/** A library given by its bare name is left to the loader. */
function manifestProblem(manifest: string): string | undefined {
  if (!existsSync(manifest)) return `${manifest} does not exist`;
  let library: unknown;
  try {
    library = (JSON.parse(readFileSync(manifest, 'utf8')) as { ICD?: { library_path?: unknown } }).ICD?.library_path;
  } catch {
    return `${manifest} is not JSON`;
  }
  if (typeof library !== 'string') return `${manifest} names no library`;
  const path = resolve(dirname(manifest), library);
  return library.includes('/') && !existsSync(path) ? `${path} does not exist` : undefined;
}

/** VkInstanceCreateInfo with everything left at 0 but the type of the structure, which is 1. */
const INSTANCE_INFO_BYTES = 64;
/** VkPhysicalDeviceProperties: 824 bytes; maker at 8, model at 12, type at 16, the name, of at most 256 bytes, at 20. */
const PROPERTIES_BYTES = 1024;
const VENDOR_OFFSET = 8;
const DEVICE_OFFSET = 12;
const TYPE_OFFSET = 16;
const NAME_OFFSET = 20;
const NAME_BYTES = 256;
const MOST_ADAPTERS = 16;

/**
 * Adapters of all drivers, the ones first that Dawn, ONNX Runtime's WebGPU, takes first. The loader reads the variables of
 * this process anew each time.
 */
export function listAdapters(koffi: Koffi, loader: string): Adapter[] {
  const p = 'void *';
  const library = koffi.load(loader);
  const createInstance = library.func('vkCreateInstance', 'int', [p, p, p]);
  const enumerate = library.func('vkEnumeratePhysicalDevices', 'int', [p, p, p]);
  const describe = library.func('vkGetPhysicalDeviceProperties', 'void', [p, p]);
  const destroyInstance = library.func('vkDestroyInstance', 'void', [p, p]);

  const info = new Uint32Array(INSTANCE_INFO_BYTES / 4);
  info[0] = 1;
  const instance = new BigUint64Array(1);
  if (createInstance(info, null, instance) !== 0) return [];
  const count = Uint32Array.of(MOST_ADAPTERS);
  const devices = new BigUint64Array(MOST_ADAPTERS);
  enumerate(instance[0], count, devices);
  const adapters = [...devices.subarray(0, count[0])].map((device): Adapter => {
    const properties = Buffer.alloc(PROPERTIES_BYTES);
    describe(device, properties);
    const name = properties.toString('utf8', NAME_OFFSET, NAME_OFFSET + NAME_BYTES).replace(/\0.*$/s, '');
    return {
      name,
      type: adapterTypes[properties.readUInt32LE(TYPE_OFFSET)] ?? 'other',
      vendorId: properties.readUInt32LE(VENDOR_OFFSET),
      deviceId: properties.readUInt32LE(DEVICE_OFFSET),
    };
  });
  destroyInstance(instance[0], null);
  const order = ['discrete', 'integrated', 'virtual', 'other', 'software'];
  return adapters.sort((a, b) => order.indexOf(a.type) - order.indexOf(b.type));
}
