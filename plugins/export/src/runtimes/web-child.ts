/** The script of the process that runs one ONNX file on ONNX Runtime's WebAssembly build. */
import { readFile } from 'node:fs/promises';
import type { Tensor } from 'kdx/graph';

/** The first message to the process. */
export interface WebModel {
  readonly file: string;
  /** Weights beside the file, and the name that the model has for them. */
  readonly external: { readonly path: string; readonly file: string } | undefined;
}

/** Every other message: the inputs of a run. */
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

// A terminal sends Ctrl-C to both processes; it is the parent that decides when to end.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());
process.once('message', (model: WebModel) => {
  void open(model).then(
    ({ run, inputs }) => {
      process.on('message', (request: WebRequest) => void run(request).catch(failure).then(reply));
      reply({ inputs });
    },
    (error: unknown) => reply(failure(error)),
  );
});

function reply(message: WebReply): void {
  process.send?.(message);
}

function failure(error: unknown): WebReply {
  return { error: error instanceof Error ? error.message : String(error) };
}

async function open({ file, external }: WebModel) {
  const ort = (await import(packageName)) as OrtWeb;
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(await readFile(file), {
    executionProviders: ['wasm'],
    ...(external && { externalData: [{ path: external.path, data: await readFile(external.file) }] }),
  });
  return { inputs: session.inputNames, run: (request: WebRequest) => runOnce(ort, session, request) };
}

async function runOnce(ort: OrtWeb, session: OrtSession, request: WebRequest): Promise<WebReply> {
  const feeds = Object.entries(request).map(
    ([name, { dtype, data, dims }]) => [name, new ort.Tensor(dtype, data, dims)] as const,
  );
  const { logits } = await session.run(Object.fromEntries(feeds));
  if (logits === undefined) return { error: 'the model returns no logits' };
  const { type, data, dims } = logits;
  return { logits: { dtype: type, data, dims } as Tensor };
}
