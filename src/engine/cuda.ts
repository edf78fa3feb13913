/** CUDA as this machine has it: the provider's files, NVIDIA's libraries, the driver and its GPUs. */
import { askDriver, type CudaDriver } from './cuda-driver.ts';
import { driverName, findCudaLibraries } from './cuda-libraries.ts';
import type { Problem } from './device-report.ts';
import type { Koffi, NativeLibrary } from './library.ts';
import { findLibrary } from './library-folders.ts';
import { findProviderFiles, type ProviderFiles } from './provider-files.ts';

export interface Cuda {
  readonly files: ProviderFiles;
  /** Libraries of NVIDIA, dependencies first. */
  readonly libraries: readonly string[];
  /** Undefined when it cannot be asked. */
  readonly driver: CudaDriver | undefined;
  /** All that is missing. */
  readonly problems: readonly Problem[];
}

export interface CudaPlaces {
  readonly library: NativeLibrary;
  /** Value of KDX_ORT_CUDA. */
  readonly named: string | undefined;
  /** Folders in which the system looks for libraries. */
  readonly folders: readonly string[];
}

const installDriver = 'install the NVIDIA driver (in a container: start it with --gpus all)';

/**
 * What there is, found without ONNX Runtime.
 * @param koffi to ask the driver; loads it into this process if nothing else is missing
 */
export function findCuda({ library, named, folders }: CudaPlaces, koffi: Koffi | undefined): Cuda {
  const files = findProviderFiles(library, named);
  const libraries = files.provider === undefined ? undefined : findCudaLibraries(files.provider, folders);
  const driverPath = findLibrary(driverName, folders);
  const problems: Problem[] = [...files.problems, ...(libraries?.problems ?? [])];
  if (driverPath === undefined) problems.push({ what: `${driverName} (NVIDIA driver)`, tries: [installDriver] });
  if (problems.length > 0 || driverPath === undefined || !koffi)
    return { files, libraries: libraries?.found ?? [], driver: undefined, problems };
  const driver = driverOf(koffi, driverPath, libraries?.major ?? 0);
  return {
    files,
    libraries: libraries?.found ?? [],
    ...('what' in driver ? { driver: undefined, problems: [driver] } : { driver, problems }),
  };
}

/** @param major version of CUDA that it has to support */
function driverOf(koffi: Koffi, path: string, major: number): CudaDriver | Problem {
  try {
    const driver = askDriver(koffi, path);
    if (driver.gpus.length === 0) return { what: `a GPU: ${path} finds none`, tries: [installDriver] };
    if (Number.parseInt(driver.version, 10) >= major) return driver;
    return {
      what: `an NVIDIA driver for CUDA ${major}: this one supports CUDA ${driver.version}`,
      tries: ['update the NVIDIA driver'],
    };
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error);
    return { what: `an NVIDIA driver that works: ${path}: ${says}`, tries: [installDriver] };
  }
}
