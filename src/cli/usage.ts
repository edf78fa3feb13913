/** Mistakes in a command line, as oclif finds them, told as kdx tells errors. */
import { stripVTControlCharacters } from 'node:util';
import type { Command } from '@oclif/core';
import { KdxError, nearest } from '../errors/index.ts';

/** What is wrong with the arguments of a command, and what to type instead. */
export function usageError(error: Error, command: Command.Class): KdxError {
  if (error instanceof KdxError && !error.message.startsWith('Parsing --')) return error;
  const help = `kdx ${command.id} --help`;
  return new KdxError('invalid-usage', plainMessage(error), {
    suggestions: [...unknownFlags(error).flatMap((flag) => flagSuggestion(flag, command)), help],
    cause: error,
  });
}

/** The command that was probably meant. */
export function unknownCommand(id: string, known: readonly string[]): KdxError {
  const meant = nearest(id, known);
  return new KdxError('unknown-command', `there is no command '${id}'`, {
    suggestions: [...(meant ? [`kdx ${meant}`] : []), 'kdx --help'],
  });
}

/** Without oclif's decoration: what it adds around a flag's own message, the pointer to help, colours. */
function plainMessage(error: Error): string {
  return stripVTControlCharacters(error.message)
    .replace(/^Parsing (--\S+)\s+/, '$1: ')
    .replace(/^The following errors? occurred:\s*/, '')
    .replace(/\s*See more help with --help/g, '')
    .replace(/Missing required flag (\S+)/g, 'missing required flag --$1')
    .replace(/^Nonexistent flags?: /, 'unknown flag ')
    .trim();
}

/** NonExistentFlagsError is not exported by oclif; it carries the flags as typed. */
function unknownFlags(error: Error): string[] {
  const flags = 'flags' in error ? error.flags : undefined;
  return Array.isArray(flags) ? flags.filter((flag) => typeof flag === 'string') : [];
}

function flagSuggestion(flag: string, command: Command.Class): string[] {
  const known = Object.keys({ ...command.baseFlags, ...command.flags, json: true });
  const name = flag.split('=')[0]!;
  const meant = nearest(name.replace(/^-+/, ''), known);
  return meant ? [`--${meant} instead of ${name}`] : [];
}
