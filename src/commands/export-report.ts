/** What kdx.json, beside an exported file or in the folder above, says about its quantization. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { z } from 'zod';

export interface ExportReport {
  /** Scheme of kdx quantize. */
  readonly scheme: string;
  /** Why nodes stayed float, by their names. */
  readonly reasons: ReadonlyMap<string, KeptReason>;
}

export interface KeptReason {
  readonly opType: string;
  readonly reason: string;
}

/** Larger ones are not of kdx. */
const mostBytes = 20_000_000;

/** Shown on a terminal: no control characters. */
const text = z
  .string()
  .min(1)
  .max(500)
  .regex(/^\P{Cc}+$/u);
const manifest = z.object({ models: z.array(z.unknown()), files: z.array(z.unknown()) });
const model = z.object({
  path: z.string(),
  quantization: z.object({ scheme: text, kept: z.array(z.unknown()) }),
});
const stored = z.object({ path: z.string(), bytes: z.number() });
const kept = z.object({ node: text, opType: text, reason: text });

/** What does not fit is ignored, and so is a report of a file of another size. */
export async function readExportReport(file: string): Promise<ExportReport | undefined> {
  const path = resolve(file);
  for (const dir of [dirname(path), dirname(dirname(path))]) {
    const found = manifest.safeParse(await readJson(join(dir, 'kdx.json'))).data;
    const name = relative(dir, path).split(sep).join('/');
    const { size } = await stat(path);
    const isStored = found?.files.some((entry) => {
      const { data } = stored.safeParse(entry);
      return data?.path === name && data.bytes === size;
    });
    const entry = found?.models.map((one) => model.safeParse(one).data).find((one) => one?.path === name);
    if (!isStored || !entry) continue;
    const { scheme, kept: nodes } = entry.quantization;
    const reasons = nodes.flatMap((one): [string, KeptReason][] => {
      const { data } = kept.safeParse(one);
      return data ? [[data.node, { opType: data.opType, reason: data.reason }]] : [];
    });
    return { scheme, reasons: new Map(reasons) };
  }
  return undefined;
}

/** Undefined for what is no JSON file of reasonable size. */
async function readJson(path: string): Promise<unknown> {
  try {
    const found = await stat(path);
    return found.isFile() && found.size <= mostBytes ? JSON.parse(await readFile(path, 'utf8')) : undefined;
  } catch {
    // No manifest, or none that can be read: the file speaks for itself.
    return undefined;
  }
}
