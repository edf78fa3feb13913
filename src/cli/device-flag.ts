/** The value of --device: what to run on, and which of several. */
import { Flags } from '@oclif/core';
import type { DeviceKind, OpenOptions } from '../engine/index.ts';
import { KdxError } from '../errors/index.ts';

/** `cuda:1` is the second GPU of CUDA, `webgpu:1` the second adapter of WebGPU, as kdx doctor lists them. */
export type DeviceName = 'auto' | DeviceKind | `${Exclude<DeviceKind, 'cpu'>}:${number}`;

const kinds = (['auto', 'cpu', 'cuda', 'webgpu'] satisfies DeviceName[]).join(', ');
const pattern = /^(auto|cpu|cuda|webgpu)$|^(cuda|webgpu):(\d{1,4})$/;

/** @throws KdxError `invalid-usage` */
export function parseDevice(
  name: string,
): Pick<OpenOptions, 'device' | 'index'> & { readonly device: 'auto' | DeviceKind } {
  const match = pattern.exec(name);
  if (!match)
    throw new KdxError('invalid-usage', `expected one of ${kinds}, or of several GPUs cuda:1, found '${name}'`, {
      suggestions: ['kdx doctor lists the devices'],
    });
  const device = (match[1] ?? match[2]) as 'auto' | DeviceKind;
  return match[3] === undefined ? { device } : { device, index: Number(match[3]) };
}

export const deviceFlag = Flags.custom<DeviceName>({
  parse: async (input) => {
    parseDevice(input);
    return input as DeviceName;
  },
  default: 'auto',
  helpValue: 'auto|cpu|cuda|webgpu[:N]',
  summary: 'Device to run on, with :N one of several GPUs; auto takes the best one found (see kdx doctor).',
  helpGroup: 'DEVICE',
});
