/** The base of every kdx command: parsing, results, errors, progress and interruption in one place. */
import { Command, Errors, Flags, type Interfaces } from '@oclif/core';
import { silentProgress, type Progress } from '../progress/index.ts';
import { failureJson, failureOf, interruption, renderFailure } from './failure.ts';
import { isInterruption, listenForInterrupt } from './interrupt.ts';
import { terminalProgress } from './progress.ts';
import { usageError } from './usage.ts';

type FlagsOf<T extends typeof Command> = Interfaces.InferredFlags<(typeof KdxCommand)['baseFlags'] & T['flags']>;
type ArgsOf<T extends typeof Command> = Interfaces.InferredArgs<T['args']>;

/**
 * `execute` calls one library function with `this.flags`, `this.signal` and `this.progress` and returns its result, which
 * is what --json prints; `render` is the same result for people, empty when `execute` has printed it piece by piece.
 */
export abstract class KdxCommand<T extends typeof Command, Result extends object> extends Command {
  static override enableJsonFlag = true;
  static override baseFlags = {
    quiet: Flags.boolean({ char: 'q', summary: 'Show no progress.', helpGroup: 'GLOBAL' }),
  };

  protected flags!: FlagsOf<T>;
  protected args!: ArgsOf<T>;
  protected progress: Progress = silentProgress;
  readonly #interrupt = listenForInterrupt((line) => this.#say(line));

  protected abstract execute(): Promise<Result>;
  protected abstract render(result: Result): string;

  /** Aborted by Ctrl-C; given to every library function that takes long. */
  protected get signal(): AbortSignal {
    return this.#interrupt.signal;
  }

  override async init(): Promise<void> {
    await super.init();
    try {
      const { flags, args } = await this.parse();
      this.flags = flags as FlagsOf<T>;
      this.args = args as ArgsOf<T>;
    } catch (error) {
      throw error instanceof Error && !(error instanceof Errors.ExitError) ? usageError(error, this.ctor) : error;
    }
    if (!this.flags.quiet) this.progress = terminalProgress(process.stderr);
  }

  override async run(): Promise<Result> {
    const result = await this.execute();
    this.progress.end();
    const text = this.jsonEnabled() ? '' : this.render(result).trimEnd();
    if (text !== '') process.stdout.write(`${text}\n`);
    return result;
  }

  /** Reports the error and sets the exit code; nothing is thrown further. */
  override async catch(error: Error): Promise<void> {
    if (error instanceof Errors.ExitError) throw error;
    this.progress.end('all');
    const failure = isInterruption(error, this.signal) ? this.#interruption() : failureOf(error);
    process.exitCode = failure.exitCode;
    process.stderr.write(`${renderFailure(failure, error)}\n`);
    if (this.jsonEnabled()) this.logJson(failureJson(failure));
  }

  override async finally(): Promise<void> {
    this.#interrupt.dispose();
  }

  /** Never coloured, so that a pipe and a terminal get the same. */
  override logJson(json: unknown): void {
    process.stdout.write(`${JSON.stringify(json, null, 2)}\n`);
  }

  #say(line: string): void {
    if (this.progress === silentProgress) process.stderr.write(`${line}\n`);
    else this.progress.message(line);
  }

  #interruption() {
    // A command without flags has none, whatever oclif's type says.
    const resumable = 'resume' in { ...this.ctor.flags };
    return resumable
      ? { ...interruption, suggestions: ['the same command with --resume goes on where it stopped'] }
      : interruption;
  }
}
