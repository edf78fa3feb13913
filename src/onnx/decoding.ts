/** ModelProto to Model. */
import { realpathSync } from 'node:fs';
import { KdxError } from '../errors/index.ts';
import { fileError } from '../files/index.ts';
import { checkGraph, topologicalOrder } from '../graph/index.ts';
import type { Attribute, Dim, Graph, Model, Node, Tensor, ValueInfo } from '../graph/index.ts';
import { externalReader } from './external-files.ts';
import { corrupt, unsupported } from './faults.ts';
import { attributeCodes, dtypeOfCode, proto, type onnx } from './proto.ts';
import { scanModel } from './scan.ts';
import { checkRank, decodeTensor, dtypeOrFail, safeInteger, textOf, type Source } from './tensor-decoding.ts';

const attributeTypes = new Map(Object.entries(attributeCodes).map(([type, code]) => [code, type as Attribute['type']]));

const domainOf = (domain: string | null | undefined): string => (domain === 'ai.onnx' ? '' : (domain ?? ''));

/** Undefined for what is no tensor, or has no element type that kdx holds. */
function decodeInfo(message: onnx.IValueInfoProto, { file }: Source): ValueInfo | undefined {
  const name = message.name ?? '';
  const type = message.type?.tensorType;
  const dtype = dtypeOfCode(type?.elemType ?? 0);
  if (!dtype) return undefined;
  checkRank(type?.shape?.dim?.length ?? 0, file, `value ${name}`);
  const shape = type?.shape?.dim?.map((dim, i): Dim => {
    if (dim.dimParam) return dim.dimParam;
    const size = safeInteger(dim.dimValue ?? -1, file, `a dimension of ${name}`);
    // Old exporters write -1 for a size that is not known. Each unknown size gets a name of its own.
    return size >= 0 ? size : `${name}_dim_${i}`;
  });
  return { name, dtype, shape };
}

function decodeBorder(messages: readonly onnx.IValueInfoProto[], source: Source, what: string): ValueInfo[] {
  return messages.map((message) => {
    const label = `${what} ${JSON.stringify(message.name ?? '')}`;
    const type = message.type?.tensorType;
    if (!type) throw unsupported(source.file, `${label} is not typed as a tensor`);
    dtypeOrFail(type.elemType ?? 0, source.file, label);
    return decodeInfo(message, source) as ValueInfo;
  });
}

function decodeAttribute(message: onnx.IAttributeProto, source: Source, where: string): Attribute {
  const { file } = source;
  const label = `attribute ${message.name ?? ''} of ${where}`;
  if (message.refAttrName) throw corrupt(file, `${label} refers to a function, but is in none`);
  const type = attributeTypes.get(message.type ?? 0);
  switch (type) {
    case 'int':
      return { type, value: safeInteger(message.i ?? 0, file, label) };
    case 'float':
      return { type, value: message.f ?? 0 };
    case 'string':
      return { type, value: textOf(message.s ?? new Uint8Array(), file, label) };
    case 'ints':
      return { type, value: (message.ints ?? []).map((value) => safeInteger(value, file, label)) };
    case 'floats':
      return { type, value: message.floats ?? [] };
    case 'strings':
      return { type, value: (message.strings ?? []).map((value) => textOf(value, file, label)) };
    case 'tensor':
      if (!message.t) throw corrupt(file, `${label} has no tensor`);
      return { type, value: decodeTensor(message.t, source, label) };
    case 'graph':
      if (!message.g) throw corrupt(file, `${label} has no graph`);
      return { type, value: decodeGraph(message.g, source) };
    case undefined:
      if (!message.type) throw corrupt(file, `${label} has no type`);
      throw unsupported(file, `${label} has ONNX attribute type ${message.type}`);
  }
}

function decodeNode(message: onnx.INodeProto, source: Source): Node {
  const opType = message.opType ?? '';
  const name = message.name ?? '';
  if (!opType) throw corrupt(source.file, `node ${JSON.stringify(name)} has no operator`);
  const where = `node ${name || opType}`;
  const attributes = new Map<string, Attribute>();
  for (const attribute of message.attribute ?? []) {
    const key = attribute.name ?? '';
    if (key === '' || attributes.has(key))
      throw corrupt(source.file, `${where} repeats attribute ${JSON.stringify(key)}`);
    attributes.set(key, decodeAttribute(attribute, source, where));
  }
  return {
    name,
    opType,
    domain: domainOf(message.domain),
    inputs: message.input ?? [],
    outputs: message.output ?? [],
    attributes: Object.fromEntries(attributes),
  };
}

function decodeGraph(message: onnx.IGraphProto, source: Source): Graph {
  const { file } = source;
  const name = message.name ?? '';
  if (message.sparseInitializer?.length) throw unsupported(file, `graph ${name} has sparse initializers`);
  const initializers = new Map<string, Tensor>();
  for (const initializer of message.initializer ?? []) {
    const key = initializer.name ?? '';
    if (key === '' || initializers.has(key))
      throw corrupt(file, `graph ${name} has ${key === '' ? 'an unnamed initializer' : `two initializers ${key}`}`);
    initializers.set(key, decodeTensor(initializer, source, `graph ${name}`));
  }
  // Before IR version 4 every initializer is an input too.
  const inputs = (message.input ?? []).filter((input) => !initializers.has(input.name ?? ''));
  const values = new Map<string, ValueInfo>();
  for (const value of message.valueInfo ?? []) {
    const info = decodeInfo(value, source);
    if (info) values.set(info.name, info);
  }
  const graph: Graph = {
    name,
    inputs: decodeBorder(inputs, source, 'input'),
    outputs: decodeBorder(message.output ?? [], source, 'output'),
    initializers,
    nodes: (message.node ?? []).map((node) => decodeNode(node, source)),
    values,
  };
  return { ...graph, nodes: topologicalOrder(graph) };
}

function decodeOpsets(message: onnx.IModelProto, file: string): Record<string, number> {
  const opsets = new Map<string, number>();
  for (const set of message.opsetImport ?? []) {
    const domain = domainOf(set.domain);
    const version = safeInteger(set.version ?? 0, file, `the opset version of ${domain || 'ai.onnx'}`);
    if (opsets.has(domain)) throw corrupt(file, `states two opset versions for ${domain || 'ai.onnx'}`);
    opsets.set(domain, version);
  }
  if (opsets.size === 0) throw corrupt(file, 'is no complete ONNX model: it states no opset');
  return Object.fromEntries(opsets);
}

function parse(bytes: Uint8Array, file: string): onnx.IModelProto {
  const lfs = 'version https://git-lfs';
  if (Buffer.from(bytes.subarray(0, lfs.length)).toString('latin1') === lfs)
    throw new KdxError('corrupt-onnx', `${file} is a Git LFS pointer, not the model itself`, {
      suggestions: ['git lfs pull'],
    });
  scanModel(bytes, file);
  try {
    return proto.ModelProto.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (error) {
    throw corrupt(file, `not an ONNX model, or a damaged one: ${(error as Error).message}`, error);
  }
}

/** Decodes with the external data that the source can reach. */
export function decodeFrom(bytes: Uint8Array, source: Source): Model {
  const { file } = source;
  const message = parse(bytes, file);
  if (!message.graph) throw corrupt(file, 'is no ONNX model: it holds no graph');
  if (message.functions?.length)
    throw new KdxError('unsupported-onnx', `${file}: local functions (${message.functions[0]?.name ?? ''}, ...)`, {
      suggestions: ['inline the functions when exporting, e.g. with onnx.inliner.inline_local_functions'],
    });
  const irVersion = safeInteger(message.irVersion ?? 0, file, 'the IR version');
  if (irVersion < 1) throw corrupt(file, 'is no ONNX model: it states no IR version');
  const opsets = decodeOpsets(message, file);
  const metadata = Object.fromEntries((message.metadataProps ?? []).map(({ key, value }) => [key ?? '', value ?? '']));
  const producer = { name: message.producerName ?? '', version: message.producerVersion ?? '' };
  try {
    const graph = decodeGraph(message.graph, source);
    checkGraph(graph);
    return { graph, irVersion, opsets, producer, metadata };
  } catch (error) {
    // An argument list or an array of hostile size.
    if (error instanceof RangeError) throw corrupt(file, `is too large to be taken in: ${error.message}`, error);
    if (!(error instanceof KdxError) || error.code !== 'invalid-graph') throw error;
    throw new KdxError(error.code, `${file}: ${error.message}`, { cause: error });
  }
}

export interface DecodeOptions {
  /** Folder that external data is looked for in; without it a model with external data is refused. */
  readonly baseDir?: string;
  /** What messages call the model; default `the model`. */
  readonly file?: string;
}

/**
 * A model from the bytes of an ONNX file, nodes in topological order, graph checked. It shares no memory with `bytes`.
 * Initializers are removed from the inputs, a domain `ai.onnx` becomes '', a dimension of unknown size gets a name of its
 * own. Doc strings, model version and domain, training information and quantization annotations are left out.
 * @throws KdxError `corrupt-onnx`, `unsupported-onnx`, `invalid-graph`, `missing-external-data`, `unsafe-external-data`
 */
export function decodeModel(bytes: Uint8Array, options: DecodeOptions = {}): Model {
  const { baseDir, file = 'the model' } = options;
  if (baseDir === undefined) return decodeFrom(bytes, { file, readExternal: undefined });
  let folder: string;
  try {
    folder = realpathSync(baseDir);
  } catch (error) {
    throw fileError(error, baseDir);
  }
  return decodeFrom(bytes, { file, readExternal: externalReader(file, [folder]) });
}
