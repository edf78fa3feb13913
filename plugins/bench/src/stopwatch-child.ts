/** The script of the process that runs all models of a measurement, and takes the time around `session.run` alone. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Feeds, StopwatchReply, StopwatchRequest } from './stopwatch-messages.ts';

interface OpenSession {
  readonly session: InferenceSession;
  readonly feeds: readonly Readonly<Record<string, Tensor>>[];
  runs: number;
}

const sessions: OpenSession[] = [];

async function answer(request: StopwatchRequest): Promise<number> {
  if (request.type === 'open') {
    const session = await InferenceSession.create(request.file, request.sessionOptions);
    return sessions.push({ session, feeds: request.feeds.map(tensorsOf), runs: 0 }) - 1;
  }
  const open = sessions[request.session] as OpenSession;
  const feeds = open.feeds[open.runs++ % open.feeds.length] as Readonly<Record<string, Tensor>>;
  const begin = performance.now();
  await open.session.run(feeds);
  return performance.now() - begin;
}

function tensorsOf(feeds: Feeds): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { dims, data }]) => [name, new Tensor('int64', data, dims)]),
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
