/** The files of an exported folder, in the layout that transformers.js and Optimum read. */
import { basename, dirname, join } from 'node:path';
import { configToJson, type BertConfig, type JsonObject } from 'kdx/checkpoint';
import type { Tokenizer } from 'kdx/data';
import { fileExists, writeFileAtomic } from 'kdx/files';
import type { Model } from 'kdx/graph';
import { externalDataName, writeModel, type WriteOptions } from 'kdx/onnx';

export const modelPath = 'onnx/model.onnx';

/**
 * @param models by path in the folder
 * @throws KdxError `disk-full`, `file-not-accessible`, ...
 */
export async function writeLayout(
  dir: string,
  models: ReadonlyMap<string, Model>,
  { config, tokenizer }: { readonly config: BertConfig; readonly tokenizer: Tokenizer },
  externalData: NonNullable<WriteOptions['externalData']>,
): Promise<void> {
  const external: string[] = [];
  for (const [path, model] of models) {
    const file = join(dir, path);
    await writeModel(file, model, { externalData });
    if (await fileExists(join(dirname(file), externalDataName(file)))) external.push(basename(file));
  }
  await writeFileAtomic(join(dir, 'config.json'), print(exportedConfig(config, external)));
  for (const [name, content] of Object.entries(tokenizer.files)) {
    const isConfig = name === 'tokenizer_config.json';
    await writeFileAtomic(join(dir, name), isConfig ? completed(content, tokenizer, config.maxPositions) : content);
  }
}

/** transformers.js fetches a data file only when config.json says that there is one. @param external names of models */
function exportedConfig(config: BertConfig, external: readonly string[]): JsonObject {
  const json = configToJson(config);
  if (external.length === 0) return json;
  const own = json['transformers.js_config'] as JsonObject | undefined;
  const chunks = Object.fromEntries(external.map((name) => [name, 1]));
  return { ...json, 'transformers.js_config': { ...own, use_external_data_format: chunks } };
}

/**
 * tokenizer_config.json with what transformers.js does not know otherwise: without a model_max_length that fits the
 * positions a long text is not cut and the model fails, without pad_token texts of two lengths cannot be one batch.
 */
function completed(text: string, tokenizer: Tokenizer, maxPositions: number): string {
  const json = JSON.parse(text) as JsonObject;
  const { tokens, unkId, sepId, padId, clsId, maskId } = tokenizer;
  const ids = { unk_token: unkId, sep_token: sepId, pad_token: padId, cls_token: clsId, mask_token: maskId };
  const missing = Object.entries(ids).filter(
    ([role, id]) => id !== undefined && (json[role] ?? undefined) === undefined,
  );
  const length = json['model_max_length'];
  const fits = typeof length === 'number' && length <= maxPositions;
  if (fits && missing.length === 0) return text;
  const named = Object.fromEntries(missing.map(([role, id]) => [role, tokens[id as number]]));
  return print({ ...json, ...named, model_max_length: fits ? length : maxPositions });
}

function print(json: JsonObject): string {
  return `${JSON.stringify(json, null, 2)}\n`;
}
