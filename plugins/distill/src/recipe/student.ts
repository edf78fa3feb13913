/** A student given on the command line by its shape: `layers=3,hidden=312`. */
import { describeIssues, invalidRecipe, parseValue, type JsonObject } from 'kdx/recipe';
import { studentSchema } from './student-schema.ts';

/** Whether `--student` gives a shape, well written or not; otherwise it names a checkpoint. */
export function isStudentShape(text: string): boolean {
  return /^\s*([a-zA-Z]+\s*=|(layers|hidden|heads|intermediate)\s*([\s:,]|$))/.test(text);
}

/**
 * The part of a recipe under `student`, checked but without defaults, to be merged with a recipe file.
 * @throws KdxError `invalid-recipe`
 */
export function parseStudent(text: string): JsonObject {
  const problems: string[] = [];
  const student = new Map<string, number | string>();
  for (const part of text.split(',')) {
    const [key = '', value, ...rest] = part.split('=').map((side) => side.trim());
    if (key === '' || value === undefined || rest.length > 0) problems.push(`'${part}' is not of the form size=number`);
    else if (student.has(key)) problems.push(`${key}: given twice`);
    else student.set(key, parseValue(value) as number | string);
  }
  const shape = Object.fromEntries(student);
  const result = studentSchema.safeParse(shape, { reportInput: true });
  if (!result.success) problems.push(...describeIssues(result.error.issues, studentSchema));
  if (problems.length > 0) throw invalidRecipe(problems.map((line) => `--student: ${line}`));
  return shape;
}
