/** One model of a run, ready to be measured: its ONNX file, its inputs, and what is known of it without running it. */
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BATCH, SEQUENCE, summarizeGraph, type ClassifierSource } from 'kdx/classifier';
import { fileExists, sha256File } from 'kdx/files';
import type { Model, Tensor } from 'kdx/graph';
import { classifierFlops, classifierParameters, parameterCount } from 'kdx/nn';
import { externalDataName, writeModel } from 'kdx/onnx';
import { graphFlops } from './graph-flops.ts';
import { modelShapes } from './graph-shapes.ts';
import { measurementInputs, type InputOptions } from './inputs.ts';
import type { ModelFacts } from './report.ts';

export interface BenchModel {
  readonly facts: Omit<ModelFacts, 'metric'>;
  /** With the file that is measured as its `onnxFile`. */
  readonly source: ClassifierSource & { readonly onnxFile: string };
  /** Tensors for the inputs that the graph has; several sets, which take turns. */
  readonly feeds: readonly Readonly<Record<string, Tensor<'int64'>>>[];
}

/**
 * A checkpoint is written as the ONNX file that an export of it holds.
 * @param folder where that may be done
 * @throws KdxError of the readers; `disk-full`, ...
 */
export async function prepareModel(
  name: string,
  source: ClassifierSource,
  { folder, ...inputOptions }: InputOptions & { readonly folder: string },
): Promise<BenchModel> {
  const model = await source.model();
  const onnxFile = source.onnxFile ?? join(folder, 'model.onnx');
  if (source.onnxFile === undefined) {
    await mkdir(folder, { recursive: true });
    await writeModel(onnxFile, model);
  }
  const summary = summarizeGraph(model.graph);
  const { config, checkpoint } = source;
  const names = new Set(model.graph.inputs.map((input) => input.name));
  return {
    facts: {
      name,
      ref: source.ref,
      sha256: await sha256File(onnxFile),
      parameters: checkpoint ? parameterCount(classifierParameters(config, config.labels.length)) : summary.parameters,
      flops: checkpoint
        ? classifierFlops(config, config.labels.length, inputOptions.length)
        : exportFlops(model, inputOptions.length),
      bytes: await bytesOnDisk(onnxFile, summary.bytes),
    },
    source: { ...source, onnxFile },
    feeds: measurementInputs(source.tokenizer, inputOptions).map((inputs) =>
      Object.fromEntries(Object.entries(inputs).filter(([input]) => names.has(input))),
    ),
  };
}

function exportFlops(model: Model, length: number): number | null {
  return graphFlops(model.graph, modelShapes(model, { [BATCH]: 1, [SEQUENCE]: length }));
}

/** Size of an ONNX file and of the data file that holds its weights, if it does not hold them itself. */
async function bytesOnDisk(file: string, weightBytes: number): Promise<number> {
  const { size } = await stat(file);
  if (size >= weightBytes) return size;
  // Optimum's name, then that of PyTorch's exporter; under other names the weights count as what they hold.
  for (const data of [join(file, '..', externalDataName(file)), `${file}.data`])
    if (await fileExists(data)) return size + (await stat(data)).size;
  return size + weightBytes;
}
