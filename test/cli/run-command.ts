/** Runs a command in this process: its result, or the failure that a user would be shown. */
import { fileURLToPath } from 'node:url';
import { Config } from '@oclif/core';
import { failureOf, renderFailure, type Failure } from '../../src/cli/index.ts';
import { commands as core } from '../../src/commands/index.ts';
import { commands as distill } from '../../plugins/distill/src/commands/index.ts';
import { commands as bench } from '../../plugins/bench/src/commands/index.ts';
import { commands as exporting } from '../../plugins/export/src/commands/index.ts';

/** What oclif calls of a command. */
interface Runnable {
  catch(error: Error): Promise<void>;
  logJson(json: unknown): void;
  _run(): Promise<unknown>;
}

type CommandClass = { id: string } & (new (words: string[], config: Config) => Runnable);

const commands = { ...core, ...distill, ...exporting, ...bench } as unknown as Readonly<Record<string, CommandClass>>;

export interface Outcome {
  /** What --json prints; undefined after a failure. */
  readonly result: unknown;
  readonly failure: Failure | undefined;
  /** What stderr gets of the failure. */
  readonly text: string;
}

/** @param words as after `kdx`; progress is off */
export async function runCommand([name = '', ...words]: readonly string[]): Promise<Outcome> {
  const commandClass = commands[name];
  if (commandClass === undefined) throw new Error(`no command ${name}`);
  commandClass.id ??= name;
  const pjson = { name: 'kdx', version: '0.0.0', oclif: { bin: 'kdx' } };
  const config = await Config.load({ root: fileURLToPath(new URL('.', import.meta.url)), pjson });
  const command = new commandClass([...words, '--json', '--quiet'], config);
  let thrown: Error | undefined;
  command.catch = (error) => {
    thrown = error;
    return Promise.resolve();
  };
  command.logJson = () => undefined;
  const result = await command._run();
  if (thrown === undefined) return { result, failure: undefined, text: '' };
  const failure = failureOf(thrown);
  return { result: undefined, failure, text: renderFailure(failure, thrown) };
}
