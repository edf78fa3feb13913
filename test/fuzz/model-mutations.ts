/** Mutations of ONNX models that stay protobuf: nodes, names, shapes, types, attributes, subgraphs. */
import { proto, type onnx } from '../../src/onnx/proto.ts';
import { hostileIntegers, hostileLongs, hostileNames, pick, type Random } from './hostile-values.ts';

/** Nodes and tensors are copied at most so often. */
const MOST_COPIES = 3000;

interface Parts {
  readonly graph: onnx.IGraphProto;
  readonly nodes: onnx.INodeProto[];
  readonly initializers: onnx.ITensorProto[];
  readonly attributes: onnx.IAttributeProto[];
  readonly values: onnx.IValueInfoProto[];
}

/** A graph of the model, outer or inner, and everything in it. */
function partsOf(model: onnx.ModelProto, random: Random): Parts {
  const graphs: onnx.IGraphProto[] = [];
  const visit = (graph: onnx.IGraphProto) => {
    graphs.push(graph);
    for (const { attribute } of graph.node ?? []) for (const { g } of attribute ?? []) if (g) visit(g);
  };
  visit(model.graph as onnx.IGraphProto);
  const graph = pick(random, graphs) as onnx.IGraphProto;
  const nodes = (graph.node ??= []);
  return {
    graph,
    nodes,
    initializers: (graph.initializer ??= []),
    attributes: nodes.flatMap(({ attribute }) => attribute ?? []),
    values: [...(graph.input ?? []), ...(graph.output ?? []), ...(graph.valueInfo ?? [])],
  };
}

const name = (random: Random) => pick(random, hostileNames) as string;
const long = (random: Random) => pick(random, hostileLongs) as number;
const integer = (random: Random) => pick(random, hostileIntegers) as number;

/** If around If around ..., each graph holding only the next. */
function nestedIf(depth: number): onnx.INodeProto {
  let g: onnx.IGraphProto = { name: 'innermost', output: [{ name: 'x' }] };
  for (let level = 0; level < depth; level++)
    g = {
      name: `level${level}`,
      node: [{ opType: 'If', input: ['x'], output: [`y${level}`], attribute: [{ name: 'then_branch', type: 5, g }] }],
      output: [{ name: `y${level}` }],
    };
  return { opType: 'If', input: ['x'], output: ['nested'], attribute: [{ name: 'then_branch', type: 5, g }] };
}

type Mutate = (parts: Parts, random: Random, model: onnx.ModelProto) => void;

const mutations: Readonly<Record<string, Mutate>> = {
  'nodes in another order': ({ nodes }, random) => {
    for (let i = nodes.length - 1; i > 0; i--) {
      const j = random.integer(i + 1);
      [nodes[i], nodes[j]] = [nodes[j] as onnx.INodeProto, nodes[i] as onnx.INodeProto];
    }
  },
  'a cycle': ({ nodes }, random) => {
    const [reader, maker] = [pick(random, nodes), pick(random, nodes)];
    if (reader && maker) reader.input = [...(maker.output ?? [])];
  },
  'node removed': ({ nodes }, random) => nodes.splice(random.integer(nodes.length), 1),
  'nodes repeated': ({ nodes }, random) => {
    const node = pick(
      random,
      nodes.filter(({ attribute }) => !attribute?.some(({ g }) => g)),
    );
    if (node) nodes.push(...Array<onnx.INodeProto>(1 + random.integer(MOST_COPIES)).fill(node));
  },
  'initializers repeated': ({ initializers }, random) => {
    const found = initializers.find(({ rawData, dims }) => (rawData?.length ?? 0) < 256 && (dims?.length ?? 0) < 9);
    const count = 1 + random.integer(MOST_COPIES);
    if (found) initializers.push(...Array.from({ length: count }, (_, i) => ({ ...found, name: `copy${i}` })));
  },
  'initializer doubled': ({ initializers }, random) => {
    const found = pick(random, initializers);
    if (found) initializers.push(found);
  },
  'initializer removed': ({ initializers }, random) =>
    initializers.splice(random.integer(Math.max(1, initializers.length)), 1),
  'hostile name of a tensor': ({ initializers }, random) => {
    const found = pick(random, initializers);
    if (found) found.name = name(random);
  },
  'hostile name of a value': ({ nodes, values }, random) => {
    const node = pick(random, nodes);
    if (node?.output && random.integer(2) === 0) node.output[0] = name(random);
    const value = pick(random, values);
    if (value) value.name = name(random);
  },
  'hostile name of an attribute': ({ attributes }, random) => {
    const attribute = pick(random, attributes);
    if (attribute) attribute.name = name(random);
  },
  'hostile operator and domain': ({ nodes }, random) => {
    const node = pick(random, nodes);
    if (node) Object.assign(node, { opType: name(random), domain: name(random) });
  },
  'hostile shape of a tensor': ({ initializers }, random) => {
    const found = pick(random, initializers);
    if (found) found.dims = Array.from({ length: random.integer(5) }, () => long(random));
  },
  'thousands of dimensions': ({ initializers, values }, random) => {
    const found = pick(random, initializers);
    if (found) found.dims = Array<number>(20_000).fill(1);
    const shape = pick(random, values)?.type?.tensorType?.shape;
    if (shape) shape.dim = Array.from({ length: 20_000 }, () => ({ dimValue: -1 }));
  },
  'another element type': ({ initializers, values }, random) => {
    const found = pick(random, initializers);
    if (found) found.dataType = random.integer(2) === 0 ? random.integer(30) : integer(random);
    const type = pick(random, values)?.type?.tensorType;
    if (type) type.elemType = integer(random);
  },
  'data of another length': ({ initializers }, random) => {
    const found = pick(random, initializers);
    if (found) found.rawData = (found.rawData ?? new Uint8Array()).subarray(random.integer(9));
  },
  'typed data beside raw data': ({ initializers }, random) => {
    const found = pick(random, initializers);
    if (found) Object.assign(found, { floatData: [1, NaN], int64Data: [long(random)], int32Data: [integer(random)] });
  },
  'hostile shape of a value': ({ values }, random) => {
    const shape = pick(random, values)?.type?.tensorType?.shape;
    if (shape) shape.dim = Array.from({ length: random.integer(6) }, () => ({ dimValue: long(random) }));
  },
  'a value without a type': ({ values }, random) => {
    const value = pick(random, values);
    if (value) value.type = random.integer(2) === 0 ? null : { sequenceType: { elemType: {} } };
  },
  'hostile attribute': ({ attributes }, random) => {
    const attribute = pick(random, attributes);
    if (attribute) Object.assign(attribute, { type: random.integer(16), i: long(random), ints: [long(random)] });
  },
  'attribute without content': ({ attributes }, random) => {
    const attribute = pick(random, attributes);
    if (attribute) Object.assign(attribute, { t: null, g: null, ints: [], s: null });
  },
  'attribute of a function': ({ attributes }, random) => {
    const attribute = pick(random, attributes);
    if (attribute) attribute.refAttrName = name(random);
  },
  'deep subgraphs': ({ nodes }, random) => nodes.push(nestedIf(1 + random.integer(40))),
  'many subgraphs': ({ nodes }, random) => {
    const subgraphs = Array.from({ length: random.integer(400) }, (_, i) => ({ name: `g${i}`, type: 5, g: {} }));
    nodes.push({ opType: 'If', input: [], output: ['many'], attribute: subgraphs });
  },
  'inputs and outputs doubled': ({ graph }, random) => {
    const value = pick(random, [...(graph.input ?? []), ...(graph.output ?? [])]);
    if (value) (random.integer(2) === 0 ? (graph.input ??= []) : (graph.output ??= [])).push(value);
  },
  'hostile versions': (_, random, model) =>
    Object.assign(model, {
      irVersion: long(random),
      opsetImport: [{ domain: name(random), version: long(random) }, ...(model.opsetImport ?? [])],
    }),
  'no opset': (_, __, model) => (model.opsetImport = []),
  'hostile metadata': (_, random, model) =>
    model.metadataProps.push(...hostileNames.map((key) => ({ key, value: name(random) }))),
  'functions and sparse tensors': ({ graph }, random, model) => {
    if (random.integer(2) === 0) graph.sparseInitializer = [{ dims: [long(random)] }];
    else model.functions = [{ name: name(random), node: graph.node ?? [] }];
  },
};

/** One to three structured mutations. */
export function mutateModel(bytes: Uint8Array, random: Random): { bytes: Uint8Array; what: string } {
  const model = proto.ModelProto.decode(bytes);
  const whats: string[] = [];
  for (let count = 1 + random.integer(3); count > 0; count--) {
    const what = pick(random, Object.keys(mutations)) as string;
    mutations[what]?.(partsOf(model, random), random, model);
    whats.push(what);
  }
  return { bytes: proto.ModelProto.encode(model).finish(), what: whats.join(', ') };
}

const hostileLocations: readonly string[] = [
  '',
  '.',
  '..',
  '/etc/passwd',
  '../outside/secret.bin',
  'sub/../../outside/secret.bin',
  'link-to-file',
  'link-to-folder/secret.bin',
  'link-to-itself',
  './model.onnx_data',
  './././model.onnx_data',
  'model.onnx_data/',
  'model.onnx',
  'C:\\model.onnx_data',
  '\\\\server\\share\\x',
  '*/_ORT_MEM_ADDR_/*',
  'x\0y',
  'a'.repeat(300),
  'a/'.repeat(5000),
];

const hostileOffsets: readonly string[] = [
  '0',
  '-1',
  '1',
  '4095',
  '9007199254740991',
  '18446744073709551615',
  '1e3',
  ' 4',
  '0x10',
  'NaN',
  '',
];

/** Mutations of where a tensor's external data lies. */
export function mutateExternal(bytes: Uint8Array, random: Random): { bytes: Uint8Array; what: string } {
  const model = proto.ModelProto.decode(bytes);
  const initializers = model.graph?.initializer ?? [];
  const keys = ['location', 'offset', 'length', 'checksum', '__proto__'];
  const whats: string[] = [];
  for (let count = 1 + random.integer(3); count > 0; count--) {
    const found = pick(random, initializers);
    const key = pick(random, keys) as string;
    const value = pick(random, key === 'location' ? hostileLocations : hostileOffsets) as string;
    if (!found) continue;
    const others = (found.externalData ?? []).filter((entry) => entry.key !== key);
    const kept = random.integer(6) === 0 ? others : [...others, { key, value }];
    Object.assign(found, { dataLocation: 1, externalData: kept });
    whats.push(`${key} ${JSON.stringify(value.slice(0, 40))}`);
  }
  return { bytes: proto.ModelProto.encode(model).finish(), what: whats.join(', ') };
}
