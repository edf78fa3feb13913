/** kdx doctor: devices, providers and versions found, and why one is missing. */
import { formatBytes, KdxCommand, wrap } from '../cli/index.ts';
import type { Surroundings } from './surroundings.ts';

export class Doctor extends KdxCommand<typeof Doctor, Surroundings> {
  static override summary = 'Show the devices, providers and versions found, and why one is missing.';
  static override examples = [
    { description: 'What can run here:', command: '<%= config.bin %> <%= command.id %>' },
    { description: 'The same for a script or a bug report:', command: '<%= config.bin %> <%= command.id %> --json' },
  ];

  protected override async execute(): Promise<Surroundings> {
    const { examineSurroundings } = await import('./surroundings.ts');
    return examineSurroundings();
  }

  protected override render(found: Surroundings): string {
    const { versions, memoryBytes, devices, backend, optional } = found;
    const lines = ['Versions', ...Object.entries(versions).map(([name, version]) => entry(name, version))];
    lines.push('', 'Devices');
    for (const { kind, available, reason, suggestions, all } of devices) {
      lines.push(...item(kind, available, reason, available ? [] : suggestions));
      if (all && all.length > 1) lines.push(...all.map((name, i) => entry(`  ${kind}:${i}`, name)));
    }
    lines.push(entry('memory', formatBytes(memoryBytes)));
    lines.push('', 'Executor', entry(backend.name, backend.reason));
    lines.push('', 'Optional');
    for (const { name, found: where, use, suggestion } of optional)
      lines.push(...item(name, where !== undefined, `${where ?? 'missing'} (${use})`, where ? [] : [suggestion]));
    return lines.join('\n');
  }
}

const width = 80;
const nameWidth = 18;

function entry(name: string, text: string): string {
  const indent = ' '.repeat(nameWidth + 2);
  return `  ${name.padEnd(nameWidth)}${wrap(text, width - indent.length).join(`\n${indent}`)}`;
}

function item(name: string, good: boolean, text: string, suggestions: readonly string[]): string[] {
  const tries = suggestions.map((suggestion) => entry('', `try: ${suggestion}`));
  return [entry(`${good ? '+' : '-'} ${name}`, text), ...tries];
}
