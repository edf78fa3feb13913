/** Ctrl-C and SIGTERM: the first asks the work to stop, the second ends the process. */

/** The exit code of a command that was interrupted (128 + SIGINT). */
export const interruptedExitCode = 130;

const signals = ['SIGINT', 'SIGTERM'] as const;

export interface Interrupt {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** Gives the signals back to the process. */
  dispose(): void;
}

/** @param say tells the user, on stderr, that the request was heard */
export function listenForInterrupt(say: (line: string) => void): Interrupt {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(interruptedExitCode);
    say('stopping after this step (once more to stop at once)');
    controller.abort();
  };
  for (const name of signals) process.on(name, onSignal);
  return {
    signal: controller.signal,
    dispose() {
      for (const name of signals) process.off(name, onSignal);
    },
  };
}

/** Whether an error is the consequence of the abort, as `signal.throwIfAborted()` and Node's own functions throw it. */
export function isInterruption(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  for (let cause = error; cause instanceof Error || cause === signal.reason; cause = (cause as Error).cause) {
    if (cause === signal.reason || (cause as Error).name === 'AbortError') return true;
  }
  return false;
}
