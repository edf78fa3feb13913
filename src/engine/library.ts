/** Where onnxruntime-node keeps its native library, and how koffi opens it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { KdxError } from '../errors/index.ts';

/** What kdx uses of koffi. Stated here, so that the sources compile where this optional dependency is not installed. */
export interface Koffi {
  /** A library by file name; null is the process itself. */
  load(path: string | null): {
    func(name: string, result: string, parameters: string[]): (...args: unknown[]) => unknown;
  };
  proto(result: string, parameters: string[]): unknown;
  /** Reads a value of a type at an address, or at an offset from it. */
  readonly decode: {
    (address: bigint, type: unknown): unknown;
    (address: bigint, offset: number, type: unknown): unknown;
    string(address: bigint): string;
  };
  address(data: ArrayBufferView): bigint;
  view(address: bigint, bytes: number): ArrayBuffer;
  config(options: { readonly sync_stack_size: number }): unknown;
}

export interface NativeLibrary {
  /** Version of the onnxruntime-node package, which is that of the library. */
  readonly version: string;
  /** The folder in which ONNX Runtime looks for its provider libraries. */
  readonly folder: string;
  readonly path: string;
}

const libraryName = /^(lib)?onnxruntime(\.so(\.\d+)*|(\.\d+)*\.dylib|\.dll)$/;

/**
 * The library of the installed onnxruntime-node.
 * @throws KdxError `unsupported-platform`
 */
export function nativeLibrary(platform: string = process.platform, arch: string = process.arch): NativeLibrary {
  const root = dirname(dirname(createRequire(import.meta.url).resolve('onnxruntime-node')));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const builds = join(root, 'bin', 'napi-v6');
  const folder = join(builds, platform, arch);
  const name = existsSync(folder) ? readdirSync(folder).find((file) => libraryName.test(file)) : undefined;
  if (name === undefined) {
    const built = readdirSync(builds).flatMap((os) => readdirSync(join(builds, os)).map((cpu) => `${os}/${cpu}`));
    throw new KdxError(
      'unsupported-platform',
      `onnxruntime-node ${version} has no library for ${platform}/${arch}, only for ${built.join(', ')}`,
      { exitCode: 1 },
    );
  }
  return { version, folder, path: join(folder, name) };
}

/**
 * ONNX Runtime reports to its maker from Linux too since 1.30, unless this variable is set before it is loaded. Child
 * processes inherit it. A user who wants the reports sets it to 0.
 */
export function switchTelemetryOff(): void {
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
}

/** koffi, or why it cannot be loaded. It is an optional dependency. */
export async function loadKoffi(): Promise<Koffi | Error> {
  try {
    const name = 'koffi' as string;
    const { default: koffi } = (await import(name)) as { default: Koffi };
    return koffi;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
