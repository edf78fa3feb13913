/** The machine that a benchmark ran on, and why its figures may not be trusted. */
import { createRequire } from 'node:module';
import { cpuFacts, type CpuFacts } from './cpu.ts';
import { systemSource, type SystemSource } from './system-source.ts';

export interface Environment {
  readonly cpu: CpuFacts;
  /** Bytes of physical memory; `null` where a browser does not tell. */
  readonly memoryBytes: number | null;
  /** Operating system, release and architecture. */
  readonly platform: string;
  /** `null` in a browser. */
  readonly node: string | null;
  readonly onnxruntime: string;
  /** Intra-op threads of the measured sessions. */
  readonly threads: number;
  /** One-minute load average; `null` where the system has none. */
  readonly loadAverage: { readonly before: number | null; readonly after: number | null };
  /** Share of processor time that the hypervisor gave to others during the run, 0 to 1; `null` where unknown. */
  readonly stealTime: number | null;
  /** One sentence each. */
  readonly warnings: readonly string[];
}

/** Counters to be taken before and after a run. */
export interface SystemState {
  readonly loadAverage: number | null;
  /** Clock ticks since boot, all processors; `null` where unknown. */
  readonly ticks: { readonly total: number; readonly steal: number } | null;
  /** Times the processor slowed down because of heat; `null` where unknown. */
  readonly throttled: number | null;
}

export function systemState(source: SystemSource = systemSource): SystemState {
  const throttled = source.read('/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count');
  return {
    // os.loadavg is [0, 0, 0] on Windows.
    loadAverage: source.platform === 'win32' ? null : source.loadAverage(),
    ticks: ticksOf(source.read('/proc/stat')),
    throttled: throttled === undefined ? null : Number(throttled),
  };
}

/** Columns of the `cpu` line in proc(5): user nice system idle iowait irq softirq steal (guest times are in user). */
function ticksOf(stat: string | undefined): SystemState['ticks'] {
  const line = stat?.match(/^cpu +(.+)$/m)?.[1];
  if (!line) return null;
  const columns = line.split(/ +/).slice(0, 8).map(Number);
  return { total: columns.reduce((sum, ticks) => sum + ticks, 0), steal: columns[7] ?? 0 };
}

export interface EnvironmentOptions {
  readonly threads: number;
  readonly before: SystemState;
  readonly after: SystemState;
}

/** Describes the machine after a run, with a warning for each thing that makes its latencies doubtful. */
export function environmentOf(
  { threads, before, after }: EnvironmentOptions,
  source: SystemSource = systemSource,
): Environment {
  const facts = {
    cpu: cpuFacts(source),
    memoryBytes: source.memoryBytes,
    platform: `${source.platform} ${source.release} ${source.arch}`,
    node: process.version.slice(1),
    onnxruntime: onnxruntimeVersion(),
    threads,
    loadAverage: { before: before.loadAverage, after: after.loadAverage },
    stealTime: stealTime(before, after),
  };
  const throttled = (after.throttled ?? 0) > (before.throttled ?? 0);
  return { ...facts, warnings: warningsOf(facts, { throttled, onBattery: onBattery(source) }) };
}

function onnxruntimeVersion(): string {
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  return version;
}

function stealTime(before: SystemState, after: SystemState): number | null {
  if (!before.ticks || !after.ticks) return null;
  const total = after.ticks.total - before.ticks.total;
  return total > 0 ? (after.ticks.steal - before.ticks.steal) / total : 0;
}

function onBattery(source: SystemSource): boolean {
  return ['BAT0', 'BAT1'].some((name) => source.read(`/sys/class/power_supply/${name}/status`) === 'Discharging');
}

function warningsOf(
  { cpu, threads, loadAverage, stealTime }: Omit<Environment, 'warnings'>,
  { throttled, onBattery }: { readonly throttled: boolean; readonly onBattery: boolean },
): string[] {
  const warnings: string[] = [];
  const load = loadAverage.before;
  if (load !== null && load > 0.5 * cpu.logicalCores)
    warnings.push(
      `the machine was busy before the run: load ${load.toFixed(2)} on ${cpu.logicalCores} processors, at most ` +
        `${(0.5 * cpu.logicalCores).toFixed(1)} is quiet`,
    );
  if (stealTime !== null && stealTime > 0.01)
    warnings.push(`the hypervisor took ${(100 * stealTime).toFixed(1)} % of the processor time for others`);
  if (cpu.governor !== null && cpu.governor !== 'performance')
    warnings.push(
      `the frequency governor is "${cpu.governor}", not "performance": the clock may change while measuring`,
    );
  if (throttled) warnings.push('the processor was throttled because of heat during the run');
  if (onBattery) warnings.push('the machine runs on its battery');
  if (cpu.quotaCores !== null && threads > cpu.quotaCores)
    warnings.push(`${threads} threads share a quota of ${cpu.quotaCores} processors: they are paused in turns`);
  if (threads > cpu.physicalCores)
    warnings.push(`${threads} threads are more than the ${cpu.physicalCores} physical cores`);
  if (cpu.virtualMachine) warnings.push('a virtual machine: neighbours on the same host can disturb the run unseen');
  return warnings;
}
