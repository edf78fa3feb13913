/** The lists that `kdx compare` takes on its command line. */
import { KdxError } from 'kdx/errors';

/** `kd,mine=my.json`: named recipes, and names of recipe files. Finetuning is always among them, first. */
export function methodsOf(text: string): { readonly name: string; readonly file?: string }[] {
  const methods: { name: string; file?: string }[] = [{ name: 'finetune' }, ...parts(text, '--methods').map(methodOf)];
  const names = methods.map(({ name }) => name);
  const twice = names.find((name, i) => i > 0 && name !== 'finetune' && names.indexOf(name) !== i);
  if (methods.some(({ name, file }) => name === 'finetune' && file !== undefined))
    throw new KdxError('invalid-usage', '--methods: finetune is what the others are compared with', {
      suggestions: ['another name for the recipe, as in --methods mine=my.json'],
    });
  if (twice !== undefined) throw new KdxError('invalid-usage', `--methods has ${twice} twice`);
  return methods.filter(({ name }, i) => i === 0 || name !== 'finetune');
}

function methodOf(part: string): { name: string; file?: string } {
  const at = part.indexOf('=');
  const name = at < 0 ? part : part.slice(0, at);
  if (!/^[\w.+-]+$/.test(name) || at === part.length - 1)
    throw new KdxError('invalid-usage', `--methods: '${part}' is neither the name of a recipe nor NAME=FILE`, {
      suggestions: ['--methods kd,mixkd', '--methods kd,mine=my.json'],
    });
  return at < 0 ? { name } : { name, file: part.slice(at + 1) };
}

/** `1%,10%,100%` or `0.01,0.1,1` as shares of the training data; six digits, as in the names of cells. */
export function fractionsOf(text: string): number[] {
  const fractions = parts(text, '--fractions').map((part) => {
    const value = part.endsWith('%') ? Number(part.slice(0, -1)) / 100 : Number(part);
    if (!(value > 0 && value <= 1))
      throw new KdxError('invalid-usage', `--fractions: '${part}' is not a part of the data`, {
        suggestions: ['--fractions 1%,10%,100%'],
      });
    return Number(value.toPrecision(6));
  });
  return [...new Set(fractions)];
}

/**
 * `tinybert`: methods that the others are compared with.
 * @param known those of the comparison
 */
export function againstOf(text: string, known: readonly string[]): string[] {
  const names = parts(text, '--against');
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new KdxError('invalid-usage', `--against: ${unknown} is not a method of this comparison`, {
      suggestions: [`one of ${known.join(', ')}`],
    });
  return [...new Set(names)];
}

function parts(text: string, flag: string): string[] {
  const list = text.split(',').map((part) => part.trim());
  if (list.some((part) => part === '')) throw new KdxError('invalid-usage', `${flag} has an empty place: '${text}'`);
  return list;
}
