/**
 * Takes the time of models as a program sees it that runs them with onnxruntime-node: in one process apart, so that no
 * run blocks this one, by that process's clock, so that the way there and back is not in it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { KdxError } from 'kdx/errors';
import { childScript } from './child-script.ts';
import type { Subject } from './measurement.ts';
import type { Feeds, StopwatchReply, StopwatchRequest } from './stopwatch-messages.ts';

export interface TimedModel {
  readonly name: string;
  /** ONNX file; external data beside it. */
  readonly file: string;
  /** Inputs that take turns. */
  readonly feeds: readonly Feeds[];
}

export interface Stopwatch {
  /** One per model; `run` gives the milliseconds of one `session.run`. */
  readonly subjects: readonly Subject[];
  close(): void;
}

/**
 * Starts the process and opens the models in it.
 * @param sessionOptions of onnxruntime-node
 * @throws KdxError `run-failed` when a model cannot be opened; so does a run that fails
 */
export async function startStopwatch(
  models: readonly TimedModel[],
  sessionOptions: Readonly<Record<string, unknown>>,
): Promise<Stopwatch> {
  const child = spawn(process.execPath, childScript('stopwatch-child'), {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    serialization: 'advanced',
  });
  const close = () => void child.kill('SIGKILL');
  try {
    const subjects: Subject[] = [];
    for (const { name, file, feeds } of models) {
      const session = await ask(child, name, { type: 'open', file, feeds, sessionOptions });
      subjects.push({ name, run: () => ask(child, name, { type: 'run', session }) });
    }
    return { subjects, close };
  } catch (error) {
    close();
    throw error;
  }
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
