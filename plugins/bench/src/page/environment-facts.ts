/** The machine and the models of a run, as names and values. */
import { formatBytes, significant } from 'kdx/cli';
import type { BenchReport, ModelReport } from '../report.ts';
import { counted } from './number-text.ts';

type Fact = readonly [name: string, value: string];

export function environmentFacts({ environment, scenario }: BenchReport): Fact[] {
  const { cpu, memoryBytes, platform, node, onnxruntime, threads, loadAverage, stealTime } = environment;
  const quota = cpu.quotaCores === null ? '' : `, quota ${cpu.quotaCores}`;
  const facts: (readonly [string, string | null])[] = [
    ['processor', cpu.model],
    ['cores', `${cpu.physicalCores} physical, ${cpu.logicalCores} logical${quota}`],
    ['instructions', cpu.flags && cpu.flags.join(' ')],
    ['governor', cpu.governor],
    ['virtual machine', cpu.virtualMachine === null ? null : cpu.virtualMachine ? 'yes' : 'no'],
    ['memory', memoryBytes === null ? null : formatBytes(memoryBytes)],
    ['system', platform],
    ['software', `${node === null ? '' : `node ${node}, `}onnxruntime ${onnxruntime}`],
    [
      'sessions',
      `${counted(threads, 'thread')}, sequential${scenario.device === 'wasm' ? '' : ', waiting threads sleep'}`,
    ],
    ['load', loadText(loadAverage)],
    ['stolen time', stealTime === null ? null : `${significant(100 * stealTime)} %`],
  ];
  return facts.filter((fact): fact is Fact => fact[1] !== null);
}

function loadText({ before, after }: BenchReport['environment']['loadAverage']): string | null {
  if (before === null || after === null) return null;
  return `${significant(before)} before, ${significant(after)} after`;
}

/** Where each model came from, and the file that was run. */
export function modelFacts({ teacher, students }: BenchReport): Fact[] {
  return [teacher, ...students].map(({ name, ref, sha256 }: ModelReport) => [name, `${ref}, SHA-256 ${sha256}`]);
}
