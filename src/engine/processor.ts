/** The processor, as far as the choice of threads and the reading of a measurement need it. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';

export interface Processor {
  readonly model: string;
  readonly architecture: string;
  /** Physical cores, or logical ones where the system does not tell. */
  readonly cores: number;
  readonly logical: number;
  /** Threads that compute without getting into each other's way: cores, within the limits set on this process. */
  readonly threads: number;
  /** Instruction sets that decide how fast matrix products are. */
  readonly flags: readonly string[];
}

const interesting = new Set([
  ...['avx2', 'avx512f', 'avx512_vnni', 'avx_vnni', 'avx512_bf16', 'amx_tile', 'amx_int8', 'amx_bf16'],
  ...['asimd', 'asimddp', 'i8mm', 'bf16', 'sve'],
]);

/** Paths are parameters for tests. */
export function processor(cpuinfoPath = '/proc/cpuinfo', cgroupFolder = '/sys/fs/cgroup'): Processor {
  const all = cpus();
  const cpuinfo = existsSync(cpuinfoPath) ? readFileSync(cpuinfoPath, 'utf8') : '';
  const logical = all.length || availableParallelism();
  const cores = coresIn(cpuinfo) ?? logical;
  const quota = cgroupQuota(cgroupFolder) ?? Infinity;
  return {
    model: all[0]?.model.trim() || 'unknown processor',
    architecture: process.arch,
    cores,
    logical,
    threads: Math.max(1, Math.min(cores, availableParallelism(), Math.ceil(quota))),
    flags: flagsIn(cpuinfo),
  };
}

/** Distinct (socket, core) pairs; undefined where they are not listed (many ARM systems). */
export function coresIn(cpuinfo: string): number | undefined {
  const pairs = new Set<string>();
  for (const block of cpuinfo.split(/\n\s*\n/)) {
    const core = /^core id\s*:\s*(\d+)/m.exec(block)?.[1];
    if (core !== undefined) pairs.add(`${/^physical id\s*:\s*(\d+)/m.exec(block)?.[1] ?? 0}/${core}`);
  }
  return pairs.size > 0 ? pairs.size : undefined;
}

export function flagsIn(cpuinfo: string): string[] {
  const line = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? '';
  return line.split(/\s+/).filter((flag) => interesting.has(flag));
}

/** CPUs that the container may use at once: cgroup version 2, then 1. Undefined when there is no limit. */
export function cgroupQuota(folder: string): number | undefined {
  const numbers = (file: string) =>
    existsSync(`${folder}/${file}`) ? readFileSync(`${folder}/${file}`, 'utf8').trim().split(/\s+/).map(Number) : [];
  const [quota, period] = existsSync(`${folder}/cpu.max`)
    ? numbers('cpu.max')
    : [...numbers('cpu/cpu.cfs_quota_us'), ...numbers('cpu/cpu.cfs_period_us')];
  return quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : undefined;
}
