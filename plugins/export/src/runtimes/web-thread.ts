/** The thread that runs one ONNX file on ONNX Runtime's WebAssembly build. */
import { readFile } from 'node:fs/promises';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import type { Tensor } from 'kdx/graph';

export interface WebThreadData {
  readonly file: string;
  /** Weights beside the file, and the name that the model has for them. */
  readonly external: { readonly path: string; readonly file: string } | undefined;
}

export type WebRequest = Readonly<Record<string, Tensor>>;

/** The first one tells the inputs of the model, each of the others answers a request. */
export type WebReply =
  { readonly inputs: readonly string[] } | { readonly logits: Tensor } | { readonly error: string };

/** What is used of onnxruntime-web. Stated here, so that the sources compile where it is not installed. */
interface OrtWeb {
  readonly env: { logLevel: string; readonly wasm: { numThreads: number } };
  readonly Tensor: new (type: string, data: Tensor['data'], dims: readonly number[]) => OrtTensor;
  readonly InferenceSession: {
    create(model: Uint8Array, options: Readonly<Record<string, unknown>>): Promise<OrtSession>;
  };
}

interface OrtTensor {
  readonly type: string;
  readonly data: Tensor['data'];
  readonly dims: readonly number[];
}

interface OrtSession {
  readonly inputNames: readonly string[];
  run(feeds: Readonly<Record<string, OrtTensor>>): Promise<Readonly<Record<string, OrtTensor>>>;
}

const packageName: string = 'onnxruntime-web';
const port = parentPort as MessagePort;
const { file, external } = workerData as WebThreadData;

const ort = (await import(packageName)) as OrtWeb;
ort.env.logLevel = 'error';
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(await readFile(file), {
  executionProviders: ['wasm'],
  ...(external && { externalData: [{ path: external.path, data: await readFile(external.file) }] }),
});

port.on('message', (request: WebRequest) => {
  run(request).then(
    (reply) => port.postMessage(reply),
    (error: unknown) => port.postMessage({ error: String(error) } satisfies WebReply),
  );
});
port.postMessage({ inputs: session.inputNames } satisfies WebReply);

async function run(request: WebRequest): Promise<WebReply> {
  const feeds = Object.entries(request).map(
    ([name, { dtype, data, dims }]) => [name, new ort.Tensor(dtype, data, dims)] as const,
  );
  const { logits } = await session.run(Object.fromEntries(feeds));
  if (logits === undefined) return { error: 'the model returns no logits' };
  const { type, data, dims } = logits;
  return { logits: { dtype: type, data, dims } as Tensor };
}
