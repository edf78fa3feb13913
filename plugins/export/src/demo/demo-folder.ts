/** `demo/` of an exported folder: a static page that classifies in the browser, with everything that it loads. */
import { readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ClassifierSource } from 'kdx/classifier';
import { fileExists, writeFileAtomic } from 'kdx/files';
import { externalDataName } from 'kdx/onnx';
import { formStyle } from 'kdx/page';
import { kdxVersions } from 'kdx/recipe';
import { sourceName, type ExportedModel } from '../manifest.ts';
import { requireWebPackage } from '../runtimes/index.ts';

/** What the page reads of its model: content of demo/model.json. */
export interface DemoSettings {
  readonly name: string;
  readonly labels: readonly string[];
  readonly regression: boolean;
  /** In tokens, special ones included. */
  readonly maxLength: number;
  readonly padId: number;
  readonly models: readonly DemoModel[];
  readonly versions: Readonly<Record<string, string>>;
}

interface DemoModel {
  /** In the exported folder, with forward slashes. */
  readonly path: string;
  /** Of the number format. */
  readonly name: string;
  readonly bytes: number;
  readonly external?: { readonly path: string; readonly bytes: number };
}

/** Where it begins, in the exported folder. */
export const demoPage = 'demo/index.html';

/** The page itself. From dist/demo and from src/demo it is the same way. */
const pageFolder = fileURLToPath(new URL('../../demo/', import.meta.url));
const pageFiles = ['index.html', 'demo.js', 'encoder.js'];

/**
 * Adds the page to a folder that holds the models and the tokenizer.
 * @throws KdxError `missing-package`, `disk-full`, ...
 */
export async function writeDemo(
  dir: string,
  source: ClassifierSource,
  models: readonly Pick<ExportedModel, 'path' | 'quantization'>[],
): Promise<void> {
  const web = requireWebPackage('--demo');
  const tokenizers = tokenizersPackage();
  const { config, tokenizer } = source;
  const settings: DemoSettings = {
    name: sourceName(source),
    labels: config.labels,
    regression: config.problemType === 'regression',
    maxLength: Math.min(config.maxPositions, tokenizer.modelMaxLength ?? Infinity),
    padId: tokenizer.padId,
    models: await Promise.all(models.map((model) => describe(dir, model))),
    versions: {
      kdx: kdxVersions()['kdx'] as string,
      'onnxruntime-web': web.version,
      '@huggingface/tokenizers': tokenizers.version,
    },
  };
  // Names end in .js because not every web server knows .mjs, and a module of an unknown type is refused.
  const wasm = 'ort-wasm-simd-threaded.wasm';
  const copies: readonly [name: string, from: string][] = [
    ...pageFiles.map((name): [string, string] => [name, join(pageFolder, name)]),
    ['ort.js', join(web.dist, 'ort.wasm.bundle.min.mjs')],
    [wasm, join(web.dist, wasm)],
    ['tokenizers.js', join(tokenizers.dist, 'tokenizers.min.mjs')],
  ];
  for (const [name, from] of copies) await writeFileAtomic(join(dir, 'demo', name), await readFile(from));
  const style = await readFile(join(pageFolder, 'style.css'), 'utf8');
  await writeFileAtomic(join(dir, 'demo/style.css'), formStyle + style);
  await writeFileAtomic(join(dir, 'demo/model.json'), `${JSON.stringify(settings, null, 2)}\n`);
  await writeFileAtomic(join(dir, 'demo/NOTICE.txt'), notice(settings.versions));
}

async function describe(dir: string, model: Pick<ExportedModel, 'path' | 'quantization'>): Promise<DemoModel> {
  const { path, quantization } = model;
  const file = join(dir, path);
  const beside = externalDataName(file);
  const data = join(dirname(file), beside);
  return {
    path,
    name: quantization === 'none' ? 'float32' : quantization.scheme,
    bytes: (await stat(file)).size,
    ...((await fileExists(data)) && {
      external: { path: `${dirname(path)}/${beside}`, bytes: (await stat(data)).size },
    }),
  };
}

function tokenizersPackage(): { dist: string; version: string } {
  const require = createRequire(import.meta.url);
  const dist = dirname(require.resolve('@huggingface/tokenizers'));
  const { version } = require(join(dist, '..', 'package.json')) as { version: string };
  return { dist, version };
}

function notice(versions: DemoSettings['versions']): string {
  return `This folder holds unchanged files of

onnxruntime-web ${versions['onnxruntime-web']} (ort.js, ort-wasm-simd-threaded.wasm)
  Copyright (c) Microsoft Corporation. MIT license, https://github.com/microsoft/onnxruntime/blob/main/LICENSE
@huggingface/tokenizers ${versions['@huggingface/tokenizers']} (tokenizers.js)
  Copyright The Hugging Face team. Apache License 2.0, https://www.apache.org/licenses/LICENSE-2.0
`;
}
