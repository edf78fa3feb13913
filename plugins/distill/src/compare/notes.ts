/** What a reader should know before believing the numbers of a comparison. */
import { formatPercent } from 'kdx/cli';
import { leaves } from 'kdx/recipe';
import { percentOf, points } from './number-text.ts';
import type { CompareReport, MethodResult } from './report.ts';
import { quantileSorted } from './spread.ts';

/** From so many seeds on, the spread over seeds is known well enough to trust the intervals. */
const enoughSeeds = 5;
/** Below so many dev examples, one accuracy of 0.9 has a standard error above 0.67 points. */
const enoughExamples = 2000;

/** In the order of importance. */
export function notesOf(report: CompareReport): string[] {
  return [
    ...unfinished(report),
    ...noise(report),
    ...visibleDifference(report),
    ...intervals(report),
    ...selection(report),
    ...unequalConditions(report),
  ];
}

function unfinished({ finishedCells, plannedCells }: CompareReport): string[] {
  if (finishedCells === plannedCells) return [];
  return [`Not finished: ${finishedCells} of ${plannedCells} trainings are there.`];
}

function noise({ binomial, devExamples, task }: CompareReport): string[] {
  if (binomial === null) return [];
  const { accuracy, standardError } = binomial;
  const used = task.primary === 'accuracy' ? '' : ` ${task.primary} varies about as much or more.`;
  return [
    `One accuracy of ${formatPercent(accuracy)} on ${devExamples} dev examples has a binomial standard error of ` +
      `${points(standardError)} points.${used}`,
  ];
}

function visibleDifference({ fractions, devExamples, binomial }: CompareReport): string[] {
  const measured = fractions.flatMap(({ rows }) => rows.filter(({ result }) => result !== null));
  const fewest = Math.min(...measured.map(({ seeds }) => seeds.length));
  if (measured.length === 0 || (fewest >= enoughSeeds && devExamples >= enoughExamples)) return [];
  const situation = `With ${fewest} seed${fewest === 1 ? '' : 's'} and ${devExamples} dev examples`;
  const advice = fewest < enoughSeeds ? ` Compare ${enoughSeeds} seeds or more.` : '';
  const limits = fractions.flatMap(({ fraction, rows }) => {
    const halfWidths = rows.flatMap(({ result }) => halfWidthsOf(result));
    if (halfWidths.length === 0) return [];
    return [`${points(median(halfWidths))} points (${percentOf(fraction)} of the data)`];
  });
  if (limits.length > 0)
    return [`${situation}, differences below about ${limits.join(', ')} are not told from chance.${advice}`];
  if (binomial === null) return [];
  const limit = 1.96 * Math.SQRT2 * binomial.standardError;
  return [`${situation}, two independent models must differ by ${points(limit)} points to be told apart.${advice}`];
}

function halfWidthsOf(result: MethodResult | null): number[] {
  return Object.values(result?.versus ?? {}).flatMap((difference) =>
    difference ? [(difference.ci95[1] - difference.ci95[0]) / 2] : [],
  );
}

function intervals({ bootstrap, fractions }: CompareReport): string[] {
  const results = fractions.flatMap(({ rows }) => rows.flatMap(({ result }) => result ?? []));
  const count = results.flatMap(halfWidthsOf).length;
  if (results.length === 0) return [];
  const found = [
    `Intervals are 95 %: ${bootstrap.resamples} resamples of the dev examples, the same for every method, and of the seeds.`,
  ];
  if (results.some(({ primary }) => primary.sd === null))
    found.push('Where there is one seed, an interval holds for that training run, not for the method.');
  if (count > 1)
    found.push(
      `Each of the ${count} differences stands alone: about one in twenty shows an effect where there is none.`,
    );
  return found;
}

function selection({ fractions }: CompareReport): string[] {
  const chosen = fractions.some(({ rows }) =>
    rows.some(({ result }) => {
      const settings = result === null ? [] : [...leaves(result.recipe)];
      return settings.some(([path, value]) => /(^|\.)evaluate$/.test(path) && value === 'epoch');
    }),
  );
  if (!chosen) return [];
  return ['Best epochs were chosen on this dev set, so its metrics are optimistic, for every such method alike.'];
}

function unequalConditions({ devices, versions }: CompareReport): string[] {
  const found: string[] = [];
  if (devices.length > 1) found.push(`Trained on ${devices.join(' and ')}: seconds do not compare.`);
  const changed = Object.entries(versions).filter(([, values]) => values.length > 1);
  for (const [name, values] of changed) found.push(`Trained with ${name} ${values.join(' and ')}.`);
  return found;
}

function median(values: readonly number[]): number {
  return quantileSorted(Float64Array.from(values).sort(), 0.5);
}
