/** What kdx inspect says beside the numbers: reasons of kdx.json, the runtime, the processor, the text form. */
import assert from 'node:assert/strict';
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readExportReport } from '../../src/commands/export-report.ts';
import { inspectModel } from '../../src/commands/inspection.ts';
import { inspectOnnx } from '../../src/commands/onnx-inspection.ts';
import { renderFiles, renderOnnx } from '../../src/commands/onnx-text.ts';
import type { QuantizationInspection } from '../../src/commands/quantization-inspection.ts';
import { int8Support, runtimeNotes } from '../../src/commands/runtime-notes.ts';
import { modelOf } from '../../src/graph/index.ts';
import { writeModel } from '../../src/onnx/index.ts';
import { runKdx } from '../cli/program.ts';
import { temporaryFolder } from '../support/tiny-classifier.ts';

const golden = fileURLToPath(new URL('../../fixtures/golden/inspect/dynamic.onnx', import.meta.url));

/** A manifest as kdx export writes it, as far as it is read. */
async function manifestOf(kept: readonly unknown[], path = 'onnx/model.onnx') {
  const quantization = { scheme: 'int8', options: {}, tensors: [], kept };
  const { size: bytes } = await stat(golden);
  return {
    format: 1,
    kind: 'export',
    models: [
      { path: 'onnx/other.onnx', quantization: 'none' },
      { path, quantization },
    ],
    files: [{ path, bytes, sha256: '' }],
  };
}

async function exported(dir: string, manifest: unknown, name = 'onnx/model.onnx'): Promise<string> {
  const file = join(dir, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, await readFile(golden));
  await writeFile(join(dir, 'kdx.json'), typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
  return file;
}

const excluded = { node: 'second', opType: 'MatMul', reason: 'excluded' };

test('kdx.json says why, in the folder above or beside the file', async (t) => {
  for (const name of ['onnx/model.onnx', 'model.onnx']) {
    const manifest = await manifestOf([excluded, { node: 'relu', opType: 'Relu', reason: 'for a test' }], name);
    const file = await exported(await temporaryFolder(t), manifest, name);
    const { quantization } = await inspectOnnx(file, { runtime: false });
    assert.equal(quantization.scheme, 'int8');
    assert.deepEqual(quantization.floatNodes, [
      { node: 'relu', opType: 'Relu', reason: 'for a test', source: 'kdx.json' },
      { ...excluded, source: 'kdx.json' },
    ]);
  }
});

test('what does not fit in kdx.json is left out', async (t) => {
  const kept = [
    { ...excluded, reason: '\u001b[2J' },
    { ...excluded, opType: 3 },
    { ...excluded, reason: 'x'.repeat(501) },
    { ...excluded, opType: 'Gemm' },
    { node: '__proto__', opType: 'MatMul', reason: 'excluded' },
    null,
    'second',
  ];
  const file = await exported(await temporaryFolder(t), await manifestOf(kept));
  const { quantization } = await inspectOnnx(file, { runtime: false });
  assert.equal(quantization.scheme, 'int8');
  assert.deepEqual(quantization.floatNodes, [{ node: 'second', opType: 'MatMul' }]);
});

test('a kdx.json that is none is ignored', async (t) => {
  const good = await manifestOf([excluded]);
  const hostile: readonly unknown[] = [
    '',
    '{',
    '[]',
    'null',
    '['.repeat(100_000),
    { models: {}, files: [] },
    { ...good, models: [{ path: 'onnx/model.onnx', quantization: 'none' }] },
    { ...good, models: good.models.map((model) => ({ ...model, path: '../onnx/model.onnx' })) },
    // Written before the file was replaced.
    { ...good, files: [{ ...good.files[0], bytes: 1 }] },
    { ...good, files: [] },
    { ...good, models: [{ ...good.models[1], quantization: { scheme: '\n', kept: [] } }] },
  ];
  const dir = await temporaryFolder(t);
  assert.ok(await readExportReport(await exported(dir, good)), 'the good one is read');
  for (const manifest of hostile)
    assert.equal(
      await readExportReport(await exported(dir, manifest)),
      undefined,
      JSON.stringify(manifest).slice(0, 80),
    );
});

test('a kdx.json that is a device is not waited for', { skip: process.platform === 'win32' }, async (t) => {
  const dir = await temporaryFolder(t);
  await writeFile(join(dir, 'model.onnx'), await readFile(golden));
  await symlink('/dev/zero', join(dir, 'kdx.json'));
  assert.equal(await readExportReport(join(dir, 'model.onnx')), undefined);
});

test('a file that the runtime refuses is inspected all the same', async (t) => {
  const file = join(await temporaryFolder(t), 'model.onnx');
  const info = (name: string) => ({ name, dtype: 'float32', shape: [1] }) as const;
  const model = modelOf({
    name: 'unknown',
    inputs: [info('x')],
    outputs: [info('y')],
    initializers: new Map(),
    nodes: [{ name: '', opType: 'Riddle', domain: 'org.nobody', inputs: ['x'], outputs: ['y'], attributes: {} }],
    values: new Map(),
  });
  await writeModel(file, { ...model, opsets: { ...model.opsets, 'org.nobody': 1 } });
  const found = await inspectOnnx(file);
  assert.equal(found.runtime?.optimized, undefined);
  assert.match(found.runtime!.failure!, /Riddle/);
  const text = renderOnnx(found);
  assert.match(text.replace(/\s+/g, ' '), /runtime onnxruntime .* no session could be created: .*Riddle/);
  assert.ok(text.split('\n').every((line) => line.length <= 80));

  const { stdout, code } = await runKdx(['inspect', file, '--no-runtime', '--json']);
  assert.equal(code, 0);
  const [{ runtime, ...rest }] = (JSON.parse(stdout) as { onnx: [typeof found] }).onnx;
  assert.equal(runtime, undefined);
  const { runtime: _, ...expected } = found;
  assert.deepEqual(rest, JSON.parse(JSON.stringify(expected)));
});

const x64 = (...flags: string[]) => ({ model: 'a processor', architecture: 'x64', flags });

test('instructions for int8', () => {
  assert.equal(int8Support(x64('avx2', 'avx512f', 'avx512_vnni')), 'vnni');
  assert.equal(int8Support(x64('avx2', 'avx_vnni')), 'vnni');
  assert.equal(int8Support(x64('avx2', 'avx512f')), 'none');
  assert.equal(int8Support(x64()), 'unknown');
  assert.equal(int8Support({ ...x64('asimd', 'asimddp'), architecture: 'arm64' }), 'dot-product');
  assert.equal(int8Support({ ...x64('asimd'), architecture: 'arm64' }), 'none');
});

test('what int8 means without VNNI', async () => {
  const { quantization } = await inspectOnnx(golden, { runtime: false });
  const notes = (flags: string[], found: Partial<QuantizationInspection> = {}) =>
    runtimeNotes({ ...quantization, ...found }, { processor: x64(...flags) });
  const { columns, saturating } = quantization.saturation!;
  assert.deepEqual(notes(['avx2']), [
    'no VNNI: int8 products are hardly faster than float32 ones, 10 to 20 %',
    `${saturating} of ${columns} int8 columns can give other answers on processors without VNNI, such as this one`,
  ]);
  assert.match(notes(['avx512_vnni'])[0]!, /^VNNI/);
  assert.doesNotMatch(notes(['avx512_vnni']).join(), /such as this one|uint8/);
  const weights = quantization.weights.map((weight) => ({ ...weight, type: weight.type.replace(/^int8/, 'uint8') }));
  assert.match(notes(['avx512_vnni'], { weights }).join(), /uint8 weights run at about half/);
  assert.deepEqual(notes([], { weights: [] }).length, 1, 'the columns only');
});

test('the text form', async () => {
  const found = await inspectOnnx(golden);
  const runtime = {
    processor: x64('avx2'),
    engine: 'onnxruntime 1',
    optimized: {
      operators: { 'com.microsoft.SkipLayerNormalization': 1 },
      fused: { 'com.microsoft.SkipLayerNormalization': 1, 'com.microsoft.DynamicQuantizeMatMul': 1 },
      unfusedProducts: ['first_quant', `${'long/'.repeat(30)}name`, 'third'],
      dequantizedEachRun: ['table'],
    },
  };
  const text = renderOnnx({ ...found, runtime: { ...runtime, notes: runtimeNotes(found.quantization, runtime) } });
  const { saturating } = found.quantization.saturation!;
  assert.equal(
    text,
    `\
  dynamic.onnx  5.55 kB
  format        IR version 8, opset 17
  producer      onnx.quantize 0.1.0
  inputs        ids int64[n]
  outputs       y float32[n,2]
  parameters    2.11k
  weights       15 tensors: float32 1.66 kB, uint8 1.28 kB, int8 418 B
  stored twice  2 tensors hold 1 contents: storing each once saves 1 B (the
                largest: first.weight_zero_point and top.weight_zero_point)
  shared        nothing
  operators     17 nodes: Mul 4, Add 3, Cast 2, Gather 2, MatMulInteger 2,
                DequantizeLinear 1, DynamicQuantizeLinear 1, MatMul 1, Relu 1
  stayed float  second: the graph does not tell why
  runtime       onnxruntime 1: fuses to SkipLayerNormalization 1,
                DynamicQuantizeMatMul 1
  not fused     3 MatMulInteger, slow (first_quant,
                …g/long/long/long/long/long/long/long/long/long/long/long/name
                and 1 more)
  each run      dequantizes 1 matrix whole (table)
  processor     a processor
                - no VNNI: int8 products are hardly faster than float32 ones, 10
                  to 20 %
                - ${saturating} of 26 int8 columns can give other answers on processors
                  without VNNI, such as this one
                - matrices that are dequantized in every run cost time; kdx
                  quantize --set form=nbits avoids it
                - SkipLayerNormalization may be the slow way on CPUs: the
                  session option that disables SkipLayerNormFusion avoids it;
                  kdx export --tune finds out

part   parameters     size
-----  ----------  -------
other       2.11k  3.36 kB

weights        stored as         activations          nodes  tensors     size
-------------  ----------------  -------------------  -----  -------  -------
linear layers  float32           float                    1        1  1.54 kB
linear layers  int8 per tensor   8 bits, fixed scale      1        1    389 B
linear layers  int8 per tensor   8 bits, at run time      1        1     37 B
tables         uint8 per tensor                           1        1    645 B
tables         uint8                                      1        1    640 B

largest tensors         type               size
----------------------  --------------  -------
second.weight           float32[24,16]  1.54 kB
table_quantized         uint8[40,16]      640 B
second.table_quantized  uint8[40,16]      640 B
first.weight_quantized  int8[16,24]       384 B
first.bias              float32[24]        96 B`,
  );
});

test('several files: a line for each; long names keep their distance', async () => {
  const found = await inspectOnnx(golden, { runtime: false });
  const long = { ...found, file: 'model_quantized.onnx' };
  assert.equal(
    renderFiles([found, long]),
    `\
file                  linear layers  embedding tables     size
--------------------  -------------  ----------------  -------
dynamic.onnx          float32        uint8 per tensor  5.55 kB
model_quantized.onnx  float32        uint8 per tensor  5.55 kB`,
  );
  assert.match(renderOnnx(long), /^ {2}model_quantized\.onnx {2}5\.55 kB$/m);
  assert.deepEqual((await inspectModel(golden, { runtime: false })).onnx, [found]);
});
