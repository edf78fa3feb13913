/** Numbers as people read them. */

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB'];

/** Decimal units, three significant digits: `57.2 MB`. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, byteUnits, ' ');
}

/** Counts of parameters or operations: `14.3M`, `1.86G`. */
export function formatCount(count: number): string {
  return scaled(count, ['', 'k', 'M', 'G', 'T'], '');
}

/** Times of a run: `0.42 ms`, `12.3 ms`, `1.25 s`. */
export function formatMilliseconds(milliseconds: number): string {
  if (milliseconds >= 1000) return `${significant(milliseconds / 1000)} s`;
  return `${significant(milliseconds)} ms`;
}

/** @param fraction 0.9507 gives `95.1 %` */
export function formatPercent(fraction: number, digits = 1): string {
  return `${(fraction * 100).toFixed(digits)} %`;
}

/** Three significant digits without an exponent, whole from 100 on. */
export function significant(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return 'n/a';
  if (size >= 99.95) return value.toFixed(0);
  if (size >= 9.995) return value.toFixed(1);
  if (size >= 0.1 || size === 0) return value.toFixed(2);
  return Number(value.toPrecision(3)).toString();
}

function scaled(value: number, units: readonly string[], gap: string): string {
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return (unit === 0 ? String(Math.round(value)) : significant(value)) + gap + units[unit]!;
}
