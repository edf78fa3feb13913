/** Files that the Python package onnx wrote (golden/make-golden.py). */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { printGraph } from '../../src/graph/index.ts';
import { readModel } from '../../src/onnx/index.ts';

const golden = (name: string) => fileURLToPath(new URL(`golden/${name}`, import.meta.url));

test('typed data, symbolic and unknown dimensions, attributes, metadata', async () => {
  const model = await readModel(golden('typed.onnx'));
  assert.equal(
    printGraph(model.graph),
    `graph typed
  input x: float32[n,x_dim_1]
  initializer float32: float32[2]{0.5,-1.5}
  initializer float64: float64[1]{0.1}
  initializer float16: float16[2]{15360,49152}
  initializer bfloat16: bfloat16[1]{16256}
  initializer int4: int4[3]{241,7}
  initializer uint4: uint4[3]{33,15}
  initializer int8: int8[2]{-128,127}
  initializer uint8: uint8[1]{255}
  initializer int16: int16[1]{-3}
  initializer uint16: uint16[1]{65535}
  initializer int32: int32[1]{-5}
  initializer uint32: uint32[1]{4294967295}
  initializer int64: int64[2]{-9223372036854775808,9223372036854775807}
  initializer uint64: uint64[1]{18446744073709551615}
  initializer bool: bool[2]{1,0}
  initializer string: string[2]{a,ß}
  initializer scalar: float32[]{7}
  initializer raw: int64[2,2]{1,2,3,4}
  h = LeakyRelu(x){alpha=0.25}
  y = Transpose(h){perm=[1,0]}
  output y: float32[y_dim_0,n]
`,
  );
  assert.deepEqual(
    { ...model, graph: model.graph.nodes.map((node) => node.name) },
    {
      graph: ['', 'last'],
      irVersion: 10,
      opsets: { '': 21 },
      producer: { name: 'golden', version: '' },
      metadata: { b: '1', a: '2' },
    },
  );
});

test('external data', async () => {
  const { graph } = await readModel(golden('external.onnx'));
  assert.deepEqual(graph.initializers.get('w'), {
    dtype: 'float32',
    dims: [20, 20],
    data: Float32Array.from({ length: 400 }, (_, i) => i),
  });
  assert.equal(graph.initializers.get('b')?.data[19], 19);
});
