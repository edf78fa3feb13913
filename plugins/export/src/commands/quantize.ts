/** kdx quantize: a float ONNX file as a smaller one. */
import { Args, Flags } from '@oclif/core';
import { deviceFlags, formatBytes, KdxCommand, renderTable, significant, withEngine } from 'kdx/cli';
import { calibrateFlags, calibrationTexts, checkCalibrates } from '../calibrate/flags.ts';
import type { QuantizedFile } from '../quantization.ts';
import { quantizers } from '../quantize/quantizers.ts';

export class Quantize extends KdxCommand<typeof Quantize, QuantizedFile> {
  static override summary = 'Store the weights of an ONNX file in fewer bits.';
  static override description = `Works on files of kdx and on encoders exported by other tools. The new file has the same inputs and outputs; it is loaded before it is written, but its answers are not compared: kdx export --quantize does that, and kdx eval measures a file.

Schemes, with what --set takes:

${quantizers.map(({ name, summary, options }) => `  ${name.padEnd(11)} ${summary}\n              ${Object.keys(options.shape).join(', ')}`).join('\n')}

embeddings is how tables are stored: int8 (a scale for each row), int4 or int8-blocks (in blocks), none. exclude=NAME,NAME names nodes or weights that stay float32, with * for any characters. int8-static reads the tokenizer beside the file or in the folder above; keepFloat=N leaves the N weights in float32 that it harms most, maxRms=X as many as keep the outputs within X of their spread.`;
  static override examples = [
    {
      description: 'int8 weights, activations quantized as they come:',
      command: '<%= config.bin %> <%= command.id %> model.onnx --scheme int8 --out model_quantized.onnx',
    },
    {
      description: 'Without the last layer:',
      command:
        '<%= config.bin %> <%= command.id %> model.onnx --scheme int8 --out mixed.onnx --set "exclude=*encoder.layer.11.*"',
    },
    {
      description: 'Activations with fixed scales, and the two weights that suffer most in float32:',
      command:
        '<%= config.bin %> <%= command.id %> small/onnx/model.onnx --scheme int8-static --out static.onnx --calibrate sentences.txt --set keepFloat=2',
    },
  ];
  static override args = {
    file: Args.string({ required: true, ignoreStdin: true, description: 'ONNX file with float32 weights.' }),
  };
  static override flags = {
    scheme: Flags.string({
      summary: `Number format: ${quantizers.map(({ name }) => name).join(', ')}.`,
      helpValue: 'NAME',
      required: true,
    }),
    out: Flags.string({ summary: 'File to write.', helpValue: 'FILE', required: true }),
    set: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      summary: 'One option of the scheme, such as weightBits=7; may be repeated.',
      helpValue: 'KEY=VALUE',
    }),
    force: Flags.boolean({ summary: 'Replace a file at --out.' }),
    ...calibrateFlags,
    task: Flags.string({
      summary: 'Task of the folder of --calibrate, such as sst2.',
      helpValue: 'NAME',
      helpGroup: 'CALIBRATION',
    }),
    threads: deviceFlags.threads,
  };

  protected override async execute(): Promise<QuantizedFile> {
    const { args, flags } = this;
    const { openScheme, quantizeFile } = await import('../quantization.ts');
    const scheme = await openScheme(flags.scheme, flags.set ?? []);
    if (flags.calibrate !== undefined) checkCalibrates(flags.scheme);
    const calibrate = await calibrationTexts(flags);
    const { progress, signal } = this;
    return withEngine({ device: 'cpu', threads: flags.threads }, (engine) =>
      quantizeFile(args.file, {
        out: flags.out,
        scheme,
        engine,
        force: flags.force,
        progress,
        signal,
        ...(calibrate && { calibrate }),
      }),
    );
  }

  protected override render({
    out,
    bytesBefore,
    bytesAfter,
    tensors,
    kept,
    calibration,
    sensitivities = [],
  }: QuantizedFile): string {
    const forms = new Map<string, { count: number; before: number; after: number }>();
    for (const { as, bytesBefore: before, bytesAfter: after } of tensors) {
      const form = as.split(',')[0] as string;
      const sum = forms.get(form) ?? { count: 0, before: 0, after: 0 };
      forms.set(form, { count: sum.count + 1, before: sum.before + before, after: sum.after + after });
    }
    const rows = [...forms].map(([form, { count, before, after }]) => [
      form,
      count,
      formatBytes(before),
      formatBytes(after),
    ]);
    const columns = ['weights', 'count', 'before', 'after'].map((title) => ({ title }));
    return [
      `${out}: ${formatBytes(bytesBefore)} to ${formatBytes(bytesAfter)}`,
      '',
      renderTable(columns, rows),
      ...(kept.length > 0 ? ['', ...kept.map(({ node, reason }) => `kept in float32: ${node} (${reason})`)] : []),
      ...(calibration === 'none'
        ? [
            '',
            'note: without config.json and tokenizer.json of the model beside it, no outlier channels were looked for',
          ]
        : []),
      ...(sensitivities.length > 0 ? ['', renderSensitivities(sensitivities)] : []),
    ].join('\n');
  }
}

const MOST_LINES = 5;

/** What the outputs lose, as a part of their spread, when one weight alone is quantized. */
function renderSensitivities(sensitivities: NonNullable<QuantizedFile['sensitivities']>): string {
  const rows = sensitivities.slice(0, MOST_LINES).map(({ weight, relativeRms }) => [weight, significant(relativeRms)]);
  return renderTable([{ title: 'most sensitive' }, { title: 'error alone', align: 'right' }], rows);
}
