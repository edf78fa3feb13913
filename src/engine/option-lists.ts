/** Options of ONNX Runtime by name, as the C API takes them. */
import type { OrtApi } from './ort-api.ts';

/** Calls `use` with names and values as two arrays of C strings, which are there until it returns. */
export function withOptions(
  api: OrtApi,
  options: Readonly<Record<string, string>>,
  use: (keys: BigUint64Array, values: BigUint64Array, count: number) => void,
): void {
  const texts = (list: readonly string[]) => list.map((text) => Buffer.from(`${text}\0`));
  const addresses = (list: readonly Buffer[]) => BigUint64Array.from(list, (text) => api.addressOf(text));
  const [keys, values] = [texts(Object.keys(options)), texts(Object.values(options))];
  use(addresses(keys), addresses(values), keys.length);
  // Named after the call, so that the texts are not collected during it.
  keys.length = values.length = 0;
}
