/** What is said of a device: whether it can be used, as what, or what is missing. */
import type { DeviceKind } from './engine.ts';

export interface DeviceReport {
  readonly kind: DeviceKind;
  readonly available: boolean;
  /** Available, but `auto` does not take it. */
  readonly onlyByName: boolean;
  /** For people: the processor or the adapter. */
  readonly name: string;
  /** One line: what it is, or what is missing. */
  readonly reason: string;
  /** What to install or do, one line each. */
  readonly suggestions: readonly string[];
  /** Memory of the device itself, in bytes, where it can be asked. */
  readonly memoryBytes?: number;
  /** All devices of the kind, in the order of their numbers, where they can be listed. */
  readonly all?: readonly string[];
  /** Environment variables under which ONNX Runtime takes this one of several. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** Something that is not there, and what may bring it. */
export interface Problem {
  readonly what: string;
  readonly tries: readonly string[];
}

const useCpu = 'use --device cpu';

export function missing(kind: DeviceKind, reason: string, suggestions: readonly string[]): DeviceReport {
  return { kind, available: false, onlyByName: false, name: '', reason, suggestions: [...suggestions, useCpu] };
}

/** Of a device that lacks several things at once. */
export function lacking(kind: DeviceKind, problems: readonly Problem[]): DeviceReport {
  const reason = `missing: ${problems.map(({ what }) => what).join(', ')}`;
  return missing(kind, reason, [...new Set(problems.flatMap(({ tries }) => tries))]);
}

/** Of a number that no device has. */
export function outOfRange(kind: DeviceKind, index: number, all: readonly string[]): DeviceReport {
  const list = all.map((name, i) => `${kind}:${i} is ${name}`).join(', ');
  const report = missing(
    kind,
    `there is no ${kind}:${index}: ${list}`,
    all.map((_, i) => `use --device ${kind}:${i}`),
  );
  return { ...report, all };
}
