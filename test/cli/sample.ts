/** A command that ends in the way it is told, for the tests of what all commands share. */
import { setTimeout } from 'node:timers/promises';
import { Flags } from '@oclif/core';
import { dataFlags, deviceFlags, KdxCommand, numberFlag, runFlags } from '../../src/cli/index.ts';
import { KdxError } from '../../src/errors/index.ts';

const outcomes = ['ok', 'mistake', 'gate', 'bug', 'wait', 'stubborn', 'progress'] as const;

export class Sample extends KdxCommand<typeof Sample, { readonly answer: number; readonly device: string }> {
  static override id = 'sample';
  static override flags = {
    ...deviceFlags,
    ...dataFlags,
    outcome: Flags.option({ options: outcomes, required: true })(),
    lr: numberFlag({ min: 0, max: 1 }),
    resume: runFlags.resume,
  };

  protected override async execute() {
    switch (this.flags.outcome) {
      case 'mistake':
        throw new KdxError('missing-tensor', 'model.safetensors has no tensor a.b', {
          suggestions: ['first', 'second'],
        });
      case 'gate':
        throw new KdxError('too-slow', 'slower than the baseline', { exitCode: 3 });
      case 'bug':
        throw new TypeError('x is undefined');
      case 'wait':
        process.stderr.write('ready\n');
        await setTimeout(20_000, undefined, { signal: this.signal });
        break;
      case 'stubborn':
        process.stderr.write('ready\n');
        await setTimeout(20_000);
        break;
      case 'progress':
        this.progress.start('working', 10);
        this.progress.update(4, { loss: 0.25 });
        this.progress.message('epoch 1');
        break;
      default:
    }
    return { answer: 42, device: this.flags.device };
  }

  protected override render({ answer }: { readonly answer: number }): string {
    return `the answer is ${answer}`;
  }
}
