/** Facts and warnings about described machines, and that the machine at hand can be described. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuFacts } from '../../plugins/bench/src/cpu.ts';
import { environmentOf, systemState } from '../../plugins/bench/src/environment.ts';
import { systemSource, type SystemSource } from '../../plugins/bench/src/system-source.ts';

/** A quiet Linux machine of 4 processors; `files` are laid over its own. */
function machine(files: Record<string, string> = {}, options: Partial<SystemSource> = {}): SystemSource {
  const processor = (id: number): string =>
    `processor\t: ${id}\nphysical id\t: 0\ncore id\t\t: ${id % 2}\nflags\t\t: fpu avx avx2 avx512_vnni amx_int8 ht`;
  const all: Record<string, string> = {
    '/proc/cpuinfo': [0, 1, 2, 3].map(processor).join('\n\n'),
    '/proc/stat': 'cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3 4',
    '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor': 'performance',
    ...files,
  };
  return {
    platform: 'linux',
    release: '6.1',
    arch: 'x64',
    memoryBytes: 16e9,
    processors: new Array<string>(4).fill('Some CPU'),
    loadAverage: () => 0.1,
    read: (path) => all[path],
    ...options,
  };
}

function environment(before: SystemSource, after = before, threads = 1) {
  return environmentOf({ threads, before: systemState(before), after: systemState(after) }, after);
}

test('a quiet machine is described without a warning', () => {
  const described = environment(machine());
  assert.deepEqual(described.cpu, {
    model: 'Some CPU',
    flags: ['avx', 'avx2', 'avx512_vnni', 'amx_int8'],
    logicalCores: 4,
    physicalCores: 2,
    quotaCores: null,
    governor: 'performance',
    virtualMachine: false,
  });
  assert.equal(described.platform, 'linux 6.1 x64');
  assert.deepEqual(described.loadAverage, { before: 0.1, after: 0.1 });
  assert.equal(described.stealTime, 0);
  assert.deepEqual(described.warnings, []);
  assert.match(described.onnxruntime, /^1\.\d+\.\d+/);
});

const doubts: readonly (readonly [string, RegExp, ReturnType<typeof environment>])[] = [
  ['load', /busy before the run: load 2\.50 on 4/, environment(machine({}, { loadAverage: () => 2.5 }), machine())],
  [
    'steal time',
    /hypervisor took 5\.0 %/,
    environment(machine(), machine({ '/proc/stat': 'cpu  150 0 100 845 0 0 0 5 0 0' })),
  ],
  [
    'governor',
    /governor is "powersave"/,
    environment(machine({ '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor': 'powersave' })),
  ],
  [
    'heat',
    /throttled/,
    environment(
      machine({ '/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count': '7' }),
      machine({ '/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count': '9' }),
    ),
  ],
  ['battery', /battery/, environment(machine({ '/sys/class/power_supply/BAT0/status': 'Discharging' }))],
  [
    'quota',
    /2 threads share a quota of 1\.5 processors/,
    environment(
      machine({ '/proc/self/cgroup': '0::/', '/sys/fs/cgroup/cpu.max': '150000 100000' }),
      machine({ '/proc/self/cgroup': '0::/', '/sys/fs/cgroup/cpu.max': '150000 100000' }),
      2,
    ),
  ],
  ['too many threads', /4 threads are more than the 2 physical cores/, environment(machine(), machine(), 4)],
  [
    'virtual machine',
    /virtual machine/,
    environment(machine({ '/proc/cpuinfo': 'processor\t: 0\nflags\t\t: avx2 hypervisor' })),
  ],
];
for (const [name, warning, described] of doubts) {
  test(`warns of: ${name}`, () => {
    assert.equal(described.warnings.length, 1, described.warnings.join('; '));
    assert.match(described.warnings[0]!, warning);
  });
}

test('load that the run made itself is no reason to warn', () => {
  assert.deepEqual(environment(machine(), machine({}, { loadAverage: () => 4 })).warnings, []);
});

test('the tightest quota of the enclosing control groups counts, in both versions', () => {
  const v2 = {
    '/proc/self/cgroup': '0::/pod/container',
    '/sys/fs/cgroup/pod/container/cpu.max': 'max 100000',
    '/sys/fs/cgroup/pod/cpu.max': '200000 100000',
    '/sys/fs/cgroup/cpu.max': '300000 100000',
  };
  assert.equal(cpuFacts(machine(v2)).quotaCores, 2);
  const v1 = {
    '/proc/self/cgroup': '4:memory:/x\n3:cpuset:/x\n2:cpu,cpuacct:/docker/1',
    '/sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us': '50000',
    '/sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us': '100000',
    '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1',
    '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
  };
  assert.equal(cpuFacts(machine(v1)).quotaCores, 0.5);
});

test('an ARM processor is described by its own flags; whether it is virtual is not known', () => {
  const info = 'processor\t: 0\nFeatures\t: fp asimd asimddp i8mm sve';
  const facts = cpuFacts(machine({ '/proc/cpuinfo': info }, { arch: 'arm64', processors: ['Neoverse', 'Neoverse'] }));
  assert.deepEqual(facts.flags, ['asimd', 'asimddp', 'i8mm', 'sve']);
  assert.equal(facts.virtualMachine, null);
  assert.equal(facts.physicalCores, 2);
});

test('where there is no /proc, what is not known is null', () => {
  const mac = machine({}, { platform: 'darwin', arch: 'arm64', read: () => undefined });
  const described = environment(mac);
  assert.deepEqual([described.cpu.flags, described.cpu.governor, described.stealTime], [null, null, null]);
  assert.equal(described.cpu.physicalCores, 4);
  assert.deepEqual(described.warnings, []);
  assert.equal(systemState(machine({}, { platform: 'win32' })).loadAverage, null);
});

test('the machine at hand is described', () => {
  const described = environment(systemSource);
  assert.ok(described.cpu.model.length > 0 && described.cpu.logicalCores >= 1 && described.memoryBytes! > 1e8);
  assert.ok(described.cpu.physicalCores <= described.cpu.logicalCores);
  assert.equal(described.node, process.versions.node);
});
