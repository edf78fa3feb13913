/** The tokenizer files of a checkpoint folder, found and copied. */
import { readFile, readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { KdxError } from '../errors/index.ts';
import { fileError, writeFileAtomic } from '../files/index.ts';
import { isObject, parseJson, readJsonText } from './json.ts';
import { tokenizerFileNames } from './weight-files.ts';

/** Copies the tokenizer files that `from` has, each whole or not at all. */
export async function copyTokenizerFiles(from: string, to: string): Promise<void> {
  if (resolve(from) === resolve(to)) return;
  for (const path of await findTokenizerFiles(from))
    await writeFileAtomic(join(to, basename(path)), await readFile(path));
}

/** Paths of the tokenizer files that a folder has. */
export async function findTokenizerFiles(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch((error: unknown) => {
    throw fileError(error, dir);
  });
  return tokenizerFileNames.filter((name) => names.includes(name)).map((name) => join(dir, name));
}

/**
 * Has a BERT tokenizer give no token types: models without them fail on token_type_ids in Transformers 4.
 * @throws KdxError `invalid-json`
 */
export async function omitTokenTypes(dir: string): Promise<void> {
  const path = (await findTokenizerFiles(dir)).find((file) => basename(file) === 'tokenizer_config.json');
  if (path === undefined) return;
  const invalid = (reason: string, cause?: unknown) =>
    new KdxError('invalid-json', `${path}: not a JSON object (${reason})`, {
      suggestions: ['copy or download the file again'],
      cause,
    });
  const json = parseJson(await readJsonText(path), invalid);
  if (!isObject(json)) throw invalid('another value');
  const changed = { ...json, model_input_names: ['input_ids', 'attention_mask'] };
  await writeFileAtomic(path, `${JSON.stringify(changed, null, 2)}\n`);
}
