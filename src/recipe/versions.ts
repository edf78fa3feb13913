/** Versions that decide the bits of a result. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(import.meta.url);

/** kdx, Node and ONNX Runtime, with the platform they run on. */
export function kdxVersions(): Record<string, string> {
  return {
    kdx: packageVersion('kdx'),
    node: process.versions.node,
    'onnxruntime-node': packageVersion('onnxruntime-node'),
    platform: `${process.platform}-${process.arch}`,
  };
}

/** Version of an installed package, or `not installed`. Read from the file: many packages do not export it. */
export function packageVersion(name: string): string {
  for (const folder of require.resolve.paths(name) ?? []) {
    const file = join(folder, name, 'package.json');
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  }
  return 'not installed';
}
