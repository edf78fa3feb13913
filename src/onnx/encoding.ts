/** Model to ModelProto, as chunks in which the weights are views of the tensors, not copies. */
import { internal, KdxError } from '../errors/index.ts';
import { bytesOf, checkGraph, dtypeCodes } from '../graph/index.ts';
import type { Attribute, Graph, Model, Node, Tensor, ValueInfo } from '../graph/index.ts';
import { isInside } from './external-files.ts';
import { attributeCodes, proto, PROTOBUF_LIMIT, type onnx } from './proto.ts';

export interface ExternalData {
  /** Path of the data file, relative to the folder of the model. */
  readonly location: string;
  /** Initializers of at least so many bytes go there; default 1024. */
  readonly threshold?: number;
}

export interface EncodeOptions {
  readonly externalData?: ExternalData;
}

export interface EncodedModel {
  readonly bytes: Uint8Array;
  /** The data file, part by part: views of the tensors and the padding between them. Empty without external data. */
  readonly external: readonly Uint8Array[];
}

/** A model and its data file, part by part. */
export interface ModelChunks {
  readonly model: readonly Uint8Array[];
  readonly external: readonly Uint8Array[];
}

const DEFAULT_THRESHOLD = 1024;
/** Alignments in the data file: a cache line, and a memory page for tensors that a runtime may map. */
const SMALL_ALIGNMENT = 64;
const PAGE_ALIGNMENT = 4096;
const PAGE_ALIGNED_FROM = 2 ** 20;
/** IR version from which initializers need not be inputs. */
const FREE_INITIALIZERS_FROM = 4;
const EXTERNAL = 1;

const utf8 = new TextEncoder();

/** Tag of a length-delimited field. */
const tagOf = (field: number): number => (field << 3) | 2;
const GRAPH_TAG = tagOf(7);
const INITIALIZER_TAG = tagOf(5);
const RAW_DATA_TAG = tagOf(9);

/** Total bytes of some chunks. */
export function byteSize(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
}

function encodeInfo({ name, dtype, shape }: ValueInfo): onnx.IValueInfoProto {
  const dim = shape?.map((size) => (typeof size === 'string' ? { dimParam: size } : { dimValue: size }));
  return { name, type: { tensorType: { elemType: dtypeCodes[dtype], shape: dim ? { dim } : null } } };
}

function encodeTensor(value: Tensor): onnx.ITensorProto {
  const head = { dims: [...value.dims], dataType: dtypeCodes[value.dtype] };
  if (value.dtype === 'string')
    return { ...head, stringData: (value as Tensor<'string'>).data.map((s) => utf8.encode(s)) };
  return { ...head, rawData: bytesOf(value) };
}

function checkIntegers(values: readonly number[], name: string): void {
  const wrong = values.find((value) => !Number.isSafeInteger(value));
  if (wrong !== undefined) throw internal(`attribute ${name} is of integers, but holds ${wrong}`);
}

function encodeAttribute(name: string, attribute: Attribute): onnx.IAttributeProto {
  const head = { name, type: attributeCodes[attribute.type] };
  switch (attribute.type) {
    case 'int':
      checkIntegers([attribute.value], name);
      return { ...head, i: attribute.value };
    case 'float':
      return { ...head, f: attribute.value };
    case 'string':
      return { ...head, s: utf8.encode(attribute.value) };
    case 'ints':
      checkIntegers(attribute.value, name);
      return { ...head, ints: [...attribute.value] };
    case 'floats':
      return { ...head, floats: [...attribute.value] };
    case 'strings':
      return { ...head, strings: attribute.value.map((value) => utf8.encode(value)) };
    case 'tensor':
      return { ...head, t: encodeTensor(attribute.value) };
    case 'graph':
      return { ...head, g: encodeSubgraph(attribute.value) };
  }
}

function encodeNode(node: Node): onnx.INodeProto {
  return {
    input: [...node.inputs],
    output: [...node.outputs],
    name: node.name || null,
    opType: node.opType,
    domain: node.domain || null,
    attribute: Object.entries(node.attributes).map(([name, attribute]) => encodeAttribute(name, attribute)),
  };
}

function encodeSubgraph(graph: Graph) {
  return {
    node: graph.nodes.map(encodeNode),
    name: graph.name,
    initializer: [...graph.initializers].map(([name, value]) => ({ ...encodeTensor(value), name })),
    input: graph.inputs.map(encodeInfo),
    output: graph.outputs.map(encodeInfo),
    valueInfo: [...graph.values.values()].map(encodeInfo),
  };
}

/** Places tensors one after the other in the data file. */
function externalWriter({ location, threshold = DEFAULT_THRESHOLD }: ExternalData) {
  if (!isInside(location)) throw internal(`external data location ${JSON.stringify(location)} leads out of its folder`);
  const chunks: Uint8Array[] = [];
  let end = 0;
  return {
    chunks,
    takes: (bytes: Uint8Array): boolean => bytes.byteLength >= threshold,
    place(bytes: Uint8Array): onnx.IStringStringEntryProto[] {
      const alignment = bytes.byteLength >= PAGE_ALIGNED_FROM ? PAGE_ALIGNMENT : SMALL_ALIGNMENT;
      const offset = Math.ceil(end / alignment) * alignment;
      if (offset > end) chunks.push(new Uint8Array(offset - end));
      chunks.push(bytes);
      end = offset + bytes.byteLength;
      return [
        { key: 'location', value: location },
        { key: 'offset', value: String(offset) },
        { key: 'length', value: String(bytes.byteLength) },
      ];
    },
  };
}

/** Protobuf fields can be written one after the other, so a big field is a head that ends in its length, then the data. */
function initializerChunks(name: string, value: Tensor, external: ReturnType<typeof externalWriter> | undefined) {
  const { rawData: raw, ...head } = encodeTensor(value);
  if (!raw) return [proto.TensorProto.encode({ ...head, name }).finish()];
  if (external?.takes(raw)) {
    const entries = { externalData: external.place(raw), dataLocation: EXTERNAL };
    return [proto.TensorProto.encode({ ...head, ...entries, name }).finish()];
  }
  return [
    proto.TensorProto.encode({ ...head, name })
      .uint32(RAW_DATA_TAG)
      .uint32(raw.byteLength)
      .finish(),
    raw,
  ];
}

/**
 * The parts of the model file and of its data file; equal models give equal bytes.
 * Lengths are only right up to `PROTOBUF_LIMIT`, which the caller checks.
 */
export function modelChunks(model: Model, options: EncodeOptions = {}): ModelChunks {
  const { graph } = model;
  checkGraph(graph);
  const external = options.externalData && externalWriter(options.externalData);
  const { node, name, input, output, valueInfo } = encodeSubgraph({ ...graph, initializers: new Map() });
  const graphChunks: Uint8Array[] = [proto.GraphProto.encode({ node, name }).finish()];
  for (const [key, value] of graph.initializers) {
    const chunks = initializerChunks(key, value, external);
    graphChunks.push(proto.GraphProto.encode({}).uint32(INITIALIZER_TAG).uint32(byteSize(chunks)).finish(), ...chunks);
    if (model.irVersion < FREE_INITIALIZERS_FROM)
      input.push(encodeInfo({ name: key, dtype: value.dtype, shape: value.dims }));
  }
  graphChunks.push(proto.GraphProto.encode({ input, output, valueInfo }).finish());

  const head = {
    irVersion: model.irVersion,
    producerName: model.producer.name || null,
    producerVersion: model.producer.version || null,
    opsetImport: Object.entries(model.opsets).map(([domain, version]) => ({ domain, version })),
    metadataProps: Object.entries(model.metadata).map(([key, value]) => ({ key, value })),
  };
  return {
    // The graph is last, so that a file that is cut off anywhere is known to be.
    model: [proto.ModelProto.encode(head).uint32(GRAPH_TAG).uint32(byteSize(graphChunks)).finish(), ...graphChunks],
    external: external?.chunks ?? [],
  };
}

/** The error of a model that does not fit in one protobuf message. */
export function tooLarge(bytes: number, limit: number, where: string): KdxError {
  return new KdxError('model-too-large', `${where}: the model takes ${bytes} bytes, an ONNX file at most ${limit}`, {
    suggestions: ['write the weights to a file beside the model (external data)', 'quantize the model'],
  });
}

/**
 * The bytes of an ONNX file: one copy of the weights, or none of those that go to the data file.
 * @throws KdxError `invalid-graph`, `model-too-large`
 */
export function encodeModel(model: Model, options: EncodeOptions = {}): EncodedModel {
  const chunks = modelChunks(model, options);
  const size = byteSize(chunks.model);
  if (size > PROTOBUF_LIMIT) throw tooLarge(size, PROTOBUF_LIMIT, `graph ${model.graph.name}`);
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks.model) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return { bytes, external: chunks.external };
}
