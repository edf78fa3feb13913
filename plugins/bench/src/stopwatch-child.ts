/** The script of the process that runs all models of a measurement, and takes the time around `session.run` alone. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { StopwatchReply, StopwatchRequest, TextInputs, WireFeeds } from './stopwatch-messages.ts';

interface OpenSession {
  readonly session: InferenceSession;
  /** Inputs of each turn. A function does its work within the time that is taken. */
  readonly turns: readonly (() => Record<string, Tensor>)[];
}

const sessions: OpenSession[] = [];

async function answer(request: StopwatchRequest): Promise<number> {
  if (request.type === 'open') {
    const { file, feeds, sessionOptions } = request;
    const session = await InferenceSession.create(file, sessionOptions);
    const turns = 'batches' in feeds ? await tokenizingTurns(feeds) : feeds.map(readyTurn);
    return sessions.push({ session, turns }) - 1;
  }
  const open = sessions[request.session] as OpenSession;
  const turn = open.turns[request.turn % open.turns.length] as () => Record<string, Tensor>;
  const begin = performance.now();
  await open.session.run(turn());
  return performance.now() - begin;
}

function readyTurn(feeds: WireFeeds): () => Record<string, Tensor> {
  const tensors = tensorsOf(feeds);
  return () => tensors;
}

/** Loaded only here: everything else in this process is ONNX Runtime. */
async function tokenizingTurns({ tokenizer: dir, batches, inputs, maxLength }: TextInputs) {
  const [{ loadTokenizer }, { textFeeds }] = await Promise.all([import('kdx/data'), import('./feeds.ts')]);
  const tokenizer = await loadTokenizer(dir);
  return batches.map((rows) => () => tensorsOf(textFeeds(tokenizer, rows, inputs, maxLength)));
}

function tensorsOf(feeds: WireFeeds): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { dims, data }]) => [
      name,
      data instanceof BigInt64Array ? new Tensor('int64', data, dims) : new Tensor('int32', data, dims),
    ]),
  );
}

async function reply(request: StopwatchRequest): Promise<StopwatchReply> {
  try {
    return { value: await answer(request) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

// A terminal sends Ctrl-C to both processes; it is the parent that decides when to end.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());
process.on('message', (request: StopwatchRequest) => void reply(request).then((result) => process.send?.(result)));
