/** Labels: the set of a task, and what a cell of a file means in it. */
import type { Task } from './tasks.ts';

/** A whole number as people write labels: no leading zeros, no exponent. */
const integer = /^(0|-?[1-9]\d*)$/;

/** The label set of the cells: whole numbers by value, anything else by code unit; empty cells are left out. */
export function inferLabels(cells: Iterable<string>): string[] {
  const labels = [...new Set(cells)].filter((cell) => cell !== '');
  const numeric = labels.every((label) => integer.test(label));
  return numeric ? labels.sort((a, b) => Number(a) - Number(b)) : labels.sort();
}

/**
 * What a cell of the label column means in a task: a label id (the cell is a name of the set, or an id where no name
 * looks like one), or the number itself for regression. `undefined` when it is neither.
 */
export function labelReader(task: Task): (cell: string) => number | undefined {
  if (task.kind === 'regression') {
    const [low, high] = task.range ?? [-Infinity, Infinity];
    return (cell) => {
      const value = cell.trim() === '' ? NaN : Number(cell);
      return Number.isFinite(value) && value >= low && value <= high ? value : undefined;
    };
  }
  const ids = new Map<string, number>();
  if (takesIds(task)) for (const id of task.labels.keys()) ids.set(String(id), id);
  for (const [id, name] of task.labels.entries()) ids.set(name, id);
  return (cell) => ids.get(cell);
}

/** Not with labels such as 1 and 2, where a 1 could be either. */
function takesIds(task: Task): boolean {
  return !task.labels.some((name) => integer.test(name));
}

/** The label set in words, for an error. */
export function describeLabels(task: Task): string {
  if (task.kind === 'regression') return task.range ? `a number from ${task.range.join(' to ')}` : 'a number';
  const names = task.labels.map((name) => `"${name}"`);
  const more = names.length > 20 ? `, ... (${names.length} labels)` : '';
  const listed = `one of ${names.slice(0, 20).join(', ')}${more}`;
  return takesIds(task) ? `${listed}, or an id from 0 to ${names.length - 1}` : listed;
}
