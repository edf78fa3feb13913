/**
 * Takes the time of models as a program sees it that runs them with onnxruntime-node: in a process apart, so that no run
 * blocks this one, by that process's clock, so that the way there and back is not in it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { childScript } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import type { Opening, Run } from 'kdx/timing';
import type { StopwatchReply, StopwatchRequest, TextInputs, WireFeeds } from './stopwatch-messages.ts';

export interface TimedModel {
  readonly name: string;
  /** ONNX file; external data beside it. */
  readonly file: string;
  /** Tensors that take turns, or texts, which are tokenized within the time. */
  readonly feeds: readonly WireFeeds[] | TextInputs;
  /** Of onnxruntime-node. */
  readonly sessionOptions?: Readonly<Record<string, unknown>>;
}

export interface StopwatchOptions {
  /** Of the process, besides those of this one. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Stops opening; a run is not stopped by it. */
  readonly signal?: AbortSignal;
}

/**
 * Starts the process and opens the models in it, one after the other. A run gives the milliseconds of one `session.run`.
 * @throws KdxError `run-failed` when a model cannot be opened; so does a run that fails; the signal's reason
 */
export async function startStopwatch(
  models: readonly TimedModel[],
  { variables, signal }: StopwatchOptions = {},
): Promise<Opening> {
  const child = spawn(process.execPath, childScript(import.meta.url, 'stopwatch-child'), {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    serialization: 'advanced',
    env: { ...process.env, ...variables },
  });
  const exit = new Promise((resolve) => child.on('close', resolve));
  // Not before its memory is free: the next process would be measured while that is done.
  const close = async () => {
    child.kill('SIGKILL');
    await exit;
  };
  try {
    const runs: Run[] = [];
    for (const { name, file, feeds, sessionOptions = {} } of models) {
      signal?.throwIfAborted();
      const session = await ask(child, name, { type: 'open', file, feeds, sessionOptions });
      runs.push((turn) => ask(child, name, { type: 'run', session, turn }));
    }
    return { runs, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens models by their names, which are unique, as `measure` asks for them. */
export function stopwatchOf(
  models: readonly TimedModel[],
  options: StopwatchOptions = {},
): (names: readonly string[]) => Promise<Opening> {
  return (names) =>
    startStopwatch(
      names.map((name) => models.find((model) => model.name === name)!),
      options,
    );
}

function ask(child: ChildProcess, name: string, request: StopwatchRequest): Promise<number> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      child.off('message', onMessage).off('exit', onEnd).off('error', onEnd);
      act();
    };
    const fail = (reason: string) =>
      settle(() => reject(new KdxError('run-failed', `${name} cannot be run: ${reason}`, { exitCode: 1 })));
    const onMessage = (reply: StopwatchReply) => {
      if ('error' in reply) fail(reply.error);
      else settle(() => resolve(reply.value));
    };
    const onEnd = () => fail('its process ended, perhaps for lack of memory');
    child.on('message', onMessage).on('exit', onEnd).on('error', onEnd);
    if (!child.connected) onEnd();
    else child.send(request, (error) => error && onEnd());
  });
}
