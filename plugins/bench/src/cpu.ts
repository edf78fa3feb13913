/** The processor: what decides which int8 kernels run, and how much of it this process may use. */
import type { SystemSource } from './system-source.ts';

export interface CpuFacts {
  readonly model: string;
  /** Those of `relevantFlags` that it has; `null` where the system does not tell (only Linux does). */
  readonly flags: readonly string[] | null;
  readonly logicalCores: number;
  /** Equal to `logicalCores` where the system does not tell. */
  readonly physicalCores: number;
  /** Processors allowed by the control group; `null` without a quota. */
  readonly quotaCores: number | null;
  /** Linux frequency governor of the first processor; `null` where there is none. */
  readonly governor: string | null;
  /** `null` where unknown. */
  readonly virtualMachine: boolean | null;
}

/** Instruction sets that matrix products use, in the names of Linux: x86 first, then ARM (dot product, i8mm, SVE). */
export const relevantFlags: readonly string[] = [
  'avx',
  'avx2',
  'fma',
  'f16c',
  'avx512f',
  'avx512bw',
  'avx512vl',
  'avx512_vnni',
  'avx512_bf16',
  'avx_vnni',
  'amx_tile',
  'amx_int8',
  'amx_bf16',
  'asimd',
  'asimddp',
  'asimdhp',
  'bf16',
  'i8mm',
  'sve',
  'sve2',
];

export function cpuFacts(source: SystemSource): CpuFacts {
  const info = source.read('/proc/cpuinfo') ?? '';
  // "flags" on x86, "Features" on ARM.
  const flags = info.match(/^(?:flags|Features)\s*: (.+)$/m)?.[1]?.split(' ');
  const logicalCores = source.processors.length;
  return {
    model: (source.processors[0] ?? 'unknown').trim(),
    flags: flags ? relevantFlags.filter((flag) => flags.includes(flag)) : null,
    logicalCores,
    physicalCores: physicalCores(info) || logicalCores,
    quotaCores: quotaCores(source),
    governor: source.read('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor') ?? null,
    // Every x86 hypervisor sets the flag; ARM has none.
    virtualMachine: flags && source.arch === 'x64' ? flags.includes('hypervisor') : null,
  };
}

/** Distinct pairs of package and core; 0 when /proc/cpuinfo has no topology. */
function physicalCores(info: string): number {
  const cores = info.split('\n\n').flatMap((processor) => {
    const core = processor.match(/^core id\s*: (\d+)$/m)?.[1];
    return core === undefined ? [] : [`${processor.match(/^physical id\s*: (\d+)$/m)?.[1] ?? 0}/${core}`];
  });
  return new Set(cores).size;
}

/** The tightest CPU quota of the control groups (v2, then v1) around this process, in processors. */
function quotaCores(source: SystemSource): number | null {
  const groups = source.read('/proc/self/cgroup') ?? '';
  const quotas: number[] = [];
  for (const folder of ancestors(groups.match(/^0::(.+)$/m)?.[1])) {
    const [quota, period] = (source.read(`/sys/fs/cgroup${folder}/cpu.max`) ?? 'max').split(' ').map(Number);
    if (quota && period) quotas.push(quota / period);
  }
  for (const folder of ancestors(groups.match(/^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:(.+)$/m)?.[1])) {
    const quota = Number(source.read(`/sys/fs/cgroup/cpu${folder}/cpu.cfs_quota_us`) ?? -1);
    const period = Number(source.read(`/sys/fs/cgroup/cpu${folder}/cpu.cfs_period_us`) ?? 0);
    if (quota > 0 && period > 0) quotas.push(quota / period);
  }
  return quotas.length > 0 ? Math.min(...quotas) : null;
}

/** '/a/b' gives '/a/b', '/a' and ''. */
function ancestors(path: string | undefined): string[] {
  if (path === undefined) return [];
  const parts = path.split('/').filter((part) => part !== '');
  return Array.from({ length: parts.length + 1 }, (_, i) =>
    parts
      .slice(0, parts.length - i)
      .map((p) => `/${p}`)
      .join(''),
  );
}
