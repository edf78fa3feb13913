/** An ONNX file on ONNX Runtime's WebAssembly build, in a process of its own: closing it gives the memory back. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { basename, dirname, join } from 'node:path';
import type { RunBatch } from 'kdx/classifier';
import { childScript } from 'kdx/engine';
import { internal } from 'kdx/errors';
import { fileExists } from 'kdx/files';
import type { Tensor } from 'kdx/graph';
import { externalDataName } from 'kdx/onnx';
import type { WebModel, WebReply, WebRequest } from './web-child.ts';

export interface WebSession {
  readonly run: RunBatch;
  /** Ends the process, also under a run. */
  close(): Promise<void>;
}

/**
 * Of WebAssembly by V8: the quick compiler alone. The other one takes longer for a few sentences than it saves, and its
 * work under way delays the end of the process by a second.
 */
const quickCompiler = '--liftoff-only';

/**
 * @param signal ends what is under way at once
 * @throws WebFailure what the runtime says, and when it runs
 */
export async function openWebSession(file: string, signal: AbortSignal): Promise<WebSession> {
  const beside = join(dirname(file), externalDataName(file));
  const external = (await fileExists(beside)) ? { path: basename(beside), file: beside } : undefined;
  signal.throwIfAborted();
  const child = spawn(process.execPath, [quickCompiler, ...childScript(import.meta.url, 'web-child')], {
    // What the runtime prints is not for the user: stdout may carry JSON.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    serialization: 'advanced',
  });
  const ended = once(child, 'exit');
  const close = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  try {
    const ready = await ask(child, { file, external } satisfies WebModel, signal);
    if ('error' in ready) throw new WebFailure(ready.error);
    const inputs = 'inputs' in ready ? ready.inputs : [];
    return {
      close,
      async run(batch) {
        const request: WebRequest = Object.fromEntries(inputs.map((name) => [name, batch[name] as Tensor]));
        const reply = await ask(child, request, signal);
        if ('logits' in reply) return reply.logits;
        throw new WebFailure('error' in reply ? reply.error : 'it started twice');
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The runtime could not load or run a model. */
export class WebFailure extends Error {}

function ask(child: ChildProcess, message: WebModel | WebRequest, signal: AbortSignal): Promise<WebReply> {
  const listening = new AbortController();
  return new Promise<WebReply>((resolve, reject) => {
    const onExit = (code: number | null, name: string | null) =>
      reject(internal(`the process of onnxruntime-web ended with ${name ?? `code ${code}`}`));
    const onAbort = () => reject(signal.reason as Error);
    child.on('message', resolve).on('error', reject).on('exit', onExit);
    signal.addEventListener('abort', onAbort);
    listening.signal.addEventListener('abort', () => {
      child.off('message', resolve).off('error', reject).off('exit', onExit);
      signal.removeEventListener('abort', onAbort);
    });
    // An error of sending is followed by the exit.
    if (child.connected) child.send(message, () => undefined);
    else onExit(child.exitCode, child.signalCode);
  }).finally(() => listening.abort());
}
