/** Flags whose value is a list with commas, each of whose values is measured, and a percentage. */
import { Flags } from '@oclif/core';
import type { DeviceKind } from 'kdx/engine';
import { KdxError } from 'kdx/errors';
import type { Length } from '../grid.ts';

/** `1,8`: whole numbers from `min` on. */
export const numbersFlag = Flags.custom<number[], { readonly min: number }>({
  parse: async (input, _context, { min }) => parts(input).map((part) => wholeNumber(part, min)),
});

/** `16,64,natural` */
export const lengthsFlag = Flags.custom<Length[], { readonly min: number }>({
  parse: async (input, _context, { min }) =>
    parts(input).map((part) => (part === 'natural' ? part : wholeNumber(part, min, ' or natural'))),
});

/** `cpu,webgpu` */
export const devicesFlag = Flags.custom<DeviceKind[]>({
  parse: async (input) => parts(input).map(deviceKind),
});

/** `5%` is 0.05. */
export const percentageFlag = Flags.custom<number>({
  parse: async (input) => {
    const digits = /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(input)?.[1];
    if (digits === undefined) throw new KdxError('invalid-usage', `expected a percentage such as 5%, found '${input}'`);
    return Number(digits) / 100;
  },
});

const deviceKinds: readonly string[] = ['cpu', 'cuda', 'webgpu'] satisfies DeviceKind[];

function deviceKind(part: string): DeviceKind {
  if (deviceKinds.includes(part)) return part as DeviceKind;
  throw new KdxError('invalid-usage', `expected devices among ${deviceKinds.join(', ')}, found '${part}'`);
}

function parts(input: string): string[] {
  return input.split(',').map((part) => part.trim());
}

function wholeNumber(part: string, min: number, otherwise = ''): number {
  const value = /^\d+$/.test(part) ? Number(part) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new KdxError('invalid-usage', `expected whole numbers from ${min} on${otherwise}, found '${part}'`);
}
