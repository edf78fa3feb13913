/** The shell around all commands: loads them from the root package and its plugins, runs one, reports what is left. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Errors, Plugin, run, type Interfaces } from '@oclif/core';
import { internal } from '../errors/index.ts';
import { failureJson, failureOf, renderFailure } from './failure.ts';
import { unknownCommand } from './usage.ts';

export interface ShellOptions {
  /** Folder of the root package. */
  readonly root: string;
  /** Load commands from TypeScript sources (bin/dev.js) and not from dist. */
  readonly source?: boolean;
}

const globalFlags: ReadonlySet<string> = new Set(['--help', '-h', '--version', '-v']);

/** Runs `argv` and ends the process with the exit code of the command, whatever is still pending. */
export async function runShell(argv: string[], options: ShellOptions): Promise<never> {
  process.stderr.on('error', ignoreClosedPipe);
  try {
    const plugins = await loadPlugins(options);
    if (argv[0] === 'help') argv = [...argv.slice(1), '--help'];
    const known = plugins.flatMap((plugin) => plugin.commandIDs);
    const [id] = argv;
    if (id !== undefined && !known.includes(id) && !globalFlags.has(id)) throw unknownCommand(id, known);
    const { root } = options;
    await run(argv, { root, pjson: plugins[0]!.pjson, plugins: new Map(plugins.map((p) => [p.name, p])) });
  } catch (error) {
    if (error instanceof Errors.ExitError) process.exitCode = error.oclif.exit ?? 0;
    else report(error, argv);
  }
  await Promise.all([drained(process.stdout), drained(process.stderr)]);
  process.exit();
}

function report(error: unknown, argv: readonly string[]): void {
  const failure = failureOf(error);
  process.exitCode = failure.exitCode;
  process.stderr.write(`${renderFailure(failure, error)}\n`);
  if (argv.includes('--json')) process.stdout.write(`${JSON.stringify(failureJson(failure), null, 2)}\n`);
}

/** The root package first. A plugin that cannot be loaded is reported and left out. */
async function loadPlugins({ root, source = false }: ShellOptions): Promise<Plugin[]> {
  const rootPackage = await readPackage(root, source);
  const folders = (rootPackage as { workspaces?: string[] }).workspaces ?? [];
  const rootPlugin = new Plugin({ name: rootPackage.name, root, pjson: rootPackage, isRoot: true, type: 'core' });
  await rootPlugin.load();
  const plugins = await Promise.all(
    folders.map(async (folder) => {
      const pjson = await readPackage(join(root, folder), source);
      const plugin = new Plugin({ name: pjson.name, root: join(root, folder), pjson, type: 'core' });
      try {
        await plugin.load();
        return [plugin];
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        process.stderr.write(`warning: the commands of ${pjson.name} cannot be loaded: ${reason}\n`);
        return [];
      }
    }),
  );
  return [rootPlugin, ...plugins.flat()];
}

/** oclif's targets, of commands and of hooks, name compiled files; each is made of one in `src`. */
async function readPackage(folder: string, source: boolean): Promise<Interfaces.PJSON> {
  const pjson = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Interfaces.PJSON;
  const { commands, hooks = {} } = pjson.oclif;
  const entries = Object.entries({ ...(commands !== undefined && { commands }), ...hooks });
  if (entries.length === 0) throw internal(`${folder}/package.json has neither commands nor hooks of oclif`);
  for (const [name, entry] of entries) {
    if (typeof entry !== 'object' || !('target' in entry))
      throw internal(`${folder}/package.json has no target for ${name}`);
    if (source) entry.target = entry.target.replace(/^\.\/dist\/(.*)\.js$/, './src/$1.ts');
  }
  return pjson;
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

/** Pipes are written asynchronously: what is queued would be lost by process.exit. */
function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) resolve();
    else stream.write('', () => resolve());
  });
}
