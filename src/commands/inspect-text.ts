/** The forms in which inspections are shown: a name with a text beside it, and sizes by part of the model. */
import type { Size } from '../classifier/index.ts';
import { formatBytes, formatCount, renderTable, wrap } from '../cli/index.ts';

const width = 80;
const nameWidth = 14;
const indent = ' '.repeat(nameWidth + 2);

/** A name and a text beside it, on as many lines as it takes. */
export function entry(name: string, text: string): string {
  const head = name.length < nameWidth ? name.padEnd(nameWidth) : `${name}  `;
  return `  ${head}${wrap(text, width - indent.length).join(`\n${indent}`)}`;
}

/** A sentence below an entry. */
export function item(text: string): string {
  const [first, ...rest] = wrap(text, width - indent.length - 2);
  return [`${indent}- ${first}`, ...rest.map((line) => `${indent}  ${line}`)].join('\n');
}

/** Names for an entry: the first ones, shortened to a line, and how many there are more. */
export function listNames(names: readonly string[], most = 2): string {
  const longest = width - nameWidth - 4;
  const shown = names
    .slice(0, most)
    .map((name) => (name.length > longest ? `…${name.slice(name.length - longest + 1)}` : name));
  const more = names.length - shown.length;
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

export function renderGroups(groups: Readonly<Partial<Record<string, Size>>>): string {
  const rows = Object.entries(groups).map(([name, size]) => {
    const { parameters, bytes } = size as Size;
    return [name, formatCount(parameters), formatBytes(bytes)];
  });
  const right = { align: 'right' } as const;
  return renderTable([{ title: 'part' }, { title: 'parameters', ...right }, { title: 'size', ...right }], rows);
}
