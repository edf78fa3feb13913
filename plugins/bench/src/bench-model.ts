/** One model of a run, ready to be measured: its ONNX file, what it reads, and what is known without running it. */
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BATCH, SEQUENCE, summarizeGraph, type ClassifierSource, type TunedOptions } from 'kdx/classifier';
import { fileExists, sha256File } from 'kdx/files';
import { elementCount, type Graph, type Model, type Tensor } from 'kdx/graph';
import { classifierFlops, classifierParameters, parameterCount } from 'kdx/nn';
import { externalDataName, writeModel } from 'kdx/onnx';
import { modelInputs, statedLabels, vocabularyRows, type BenchSource } from './bench-source.ts';
import type { Reader } from './cell-inputs.ts';
import { graphFlops } from './graph-flops.ts';
import { modelShapes } from './graph-shapes.ts';
import type { ModelFacts } from './report.ts';
import { findTuning } from './session-options.ts';

export interface BenchModel extends Reader {
  readonly facts: Omit<ModelFacts, 'metric' | 'answers' | 'compressedBytes'>;
  /** What is measured. */
  readonly onnxFile: string;
  /** The ONNX file and its external data. */
  readonly files: readonly string[];
  /** To evaluate the file; undefined for a model that cannot answer texts. */
  readonly classifier: (ClassifierSource & { readonly onnxFile: string }) | undefined;
  readonly graph: Pick<Graph, 'inputs'>;
  /** Of its sessions on this machine, by `kdx export --tune`. */
  readonly tuned: TunedOptions | undefined;
  /** Undefined when the graph does not say. */
  readonly labels: number | undefined;
  /** Operations of one sequence; `null` when shapes are not known. */
  flops(length: number): number | null;
}

/** Ids below it are in the vocabulary of any published encoder. */
const SAFE_IDS = 1000;

/**
 * A checkpoint is written as the ONNX file that an export of it holds.
 * @param folder where that may be done
 * @throws KdxError of the readers; `not-a-classifier`, `disk-full`, ...
 */
export async function prepareModel(name: string, source: BenchSource, folder: string): Promise<BenchModel> {
  const { ref, classifier, tokenizer, maxPositions } = source;
  const model = await source.model();
  const inputs = modelInputs(model.graph, ref);
  const onnxFile = source.onnxFile ?? join(folder, 'model.onnx');
  if (source.onnxFile === undefined) {
    await mkdir(folder, { recursive: true });
    await writeModel(onnxFile, model);
  }
  const { options: tuned, unused } = await findTuning(source);
  const summary = summarizeGraph(model.graph);
  const { config, checkpoint } = classifier ?? {};
  const size = await fileSize(onnxFile, summary.bytes);
  const shapes = withoutWeights(model);
  const isText = tokenizer !== undefined && classifier !== undefined;
  const inputType = inputs.some(({ dtype }) => dtype === 'int32') && ({ inputType: 'int32' } as const);
  return {
    facts: {
      name,
      ref,
      sha256: await sha256File(onnxFile),
      parameters:
        config && checkpoint ? parameterCount(classifierParameters(config, config.labels.length)) : summary.parameters,
      bytes: size.bytes,
      groups: Object.entries(summary.groups).map(([group, { bytes }]) => ({ name: group, bytes })),
      inputs: isText ? 'text' : 'random token ids',
      ...(tuned && { sessionOptions: tuned }),
      ...(unused !== undefined && { tuningUnused: unused }),
    },
    onnxFile,
    files: size.files,
    classifier: isText ? { ...classifier, onnxFile, ...inputType } : undefined,
    graph: { inputs: model.graph.inputs },
    tuned,
    labels: config?.labels.length ?? statedLabels(model.graph),
    flops: (length) =>
      config && checkpoint ? classifierFlops(config, config.labels.length, length) : exportFlops(shapes, length),
    inputs,
    tokenizer,
    vocabulary: config?.vocabSize ?? vocabularyRows(model.graph) ?? SAFE_IDS,
    maxPositions,
  };
}

/** For what follows from shapes: large weights lose their content, so that not all models stay in memory. */
function withoutWeights(model: Model): Model {
  const initializers = [...model.graph.initializers].map(([name, value]): [string, Tensor] => {
    const isLarge = value.dtype !== 'string' && elementCount(value.dims) > 1000;
    return [name, isLarge ? { ...value, data: new Uint8Array(0) } : value];
  });
  return { ...model, graph: { ...model.graph, initializers: new Map(initializers) } };
}

function exportFlops(model: Model, length: number): number | null {
  return graphFlops(model.graph, modelShapes(model, { [BATCH]: 1, [SEQUENCE]: length }));
}

/** An ONNX file with the data file that holds its weights, if it does not hold them itself. */
async function fileSize(file: string, weightBytes: number): Promise<{ bytes: number; files: string[] }> {
  const { size } = await stat(file);
  if (size >= weightBytes) return { bytes: size, files: [file] };
  // Optimum's name, then that of PyTorch's exporter; under other names the weights count as what they hold.
  for (const data of [join(file, '..', externalDataName(file)), `${file}.data`])
    if (await fileExists(data)) return { bytes: size + (await stat(data)).size, files: [file, data] };
  return { bytes: size + weightBytes, files: [file] };
}
