/** Choosing a Vulkan adapter by what the loader shows under some variables. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectAdapter } from '../../src/engine/adapter-selection.ts';
import { setVariables, withVariables } from '../../src/engine/environment-variables.ts';
import type { Adapter } from '../../src/engine/vulkan.ts';

const big: Adapter = { name: 'Loom 9000', type: 'discrete', vendorId: 0x10de, deviceId: 0x2684 };
const small: Adapter = { name: 'Loom 100', type: 'discrete', vendorId: 0x10de, deviceId: 0x2882 };
const other: Adapter = { name: 'Spindle', type: 'integrated', vendorId: 0x8086, deviceId: 0x46a6 };

type Drivers = Readonly<Record<string, readonly Adapter[]>>;

/** A loader with these drivers, and a list of the adapters in the order of their numbers. */
function select(index: number, drivers: Drivers, filters = true) {
  const all = Object.values(drivers).flat();
  return selectAdapter(index, all, Object.keys(drivers), (variables) => {
    const { VK_DRIVER_FILES: manifest = '', VK_LOADER_DEVICE_ID_FILTER: id } = variables;
    assert.equal(variables['VK_ADD_DRIVER_FILES'], '');
    const seen = drivers[manifest] ?? [];
    return filters && id !== undefined ? seen.filter(({ deviceId }) => deviceId === Number(id)) : seen;
  });
}

test('an adapter of a driver of its own is chosen by the driver', () => {
  const variables = { VK_DRIVER_FILES: 'b', VK_ICD_FILENAMES: 'b', VK_ADD_DRIVER_FILES: '' };
  assert.deepEqual(select(1, { a: [big], b: [other] }), { variables });
  // The same card by two drivers.
  assert.deepEqual(select(1, { a: [big], b: [big] }), { variables });
});

test('one that its driver shows after another is chosen by its model, where the loader can do that', () => {
  const selection = select(1, { a: [big, small], b: [other] });
  assert.ok('variables' in selection);
  assert.equal(selection.variables['VK_DRIVER_FILES'], 'a');
  assert.equal(selection.variables['VK_LOADER_VENDOR_ID_FILTER'], '0x10de');
  assert.equal(selection.variables['VK_LOADER_DEVICE_ID_FILTER'], '0x2882');
  const old = select(1, { a: [big, small] }, false);
  assert.ok('what' in old);
  assert.equal(old.what, 'webgpu:1 (Loom 100) cannot be chosen: Loom 9000 has the same driver, and is taken before it');
  assert.match(old.tries[0]!, /MESA_VK_DEVICE_SELECT=10de:2882!/);
});

test('two cards of one model cannot be told apart', () => {
  assert.ok('variables' in select(0, { a: [big, big] }), 'the first is taken by itself');
  const selection = select(1, { a: [big, big] });
  assert.ok('what' in selection);
  assert.match(selection.what, /^webgpu:1 cannot be chosen: its driver has several adapters of the name Loom 9000$/);
});

test('variables are put back as they were', () => {
  process.env['KDX_TEST_A'] = 'before';
  delete process.env['KDX_TEST_B'];
  const set = () => [process.env['KDX_TEST_A'], process.env['KDX_TEST_B']];
  const restore = setVariables({ KDX_TEST_A: 'a', KDX_TEST_B: 'b' });
  assert.deepEqual(set(), ['a', 'b']);
  restore();
  assert.deepEqual(set(), ['before', undefined]);
  assert.throws(() => withVariables({ KDX_TEST_B: 'b' }, () => assert.fail(String(set()))), /before,b/);
  assert.deepEqual(set(), ['before', undefined]);
});
