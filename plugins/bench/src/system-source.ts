/** Where facts about the machine are read from, so that tests can describe other machines. */
import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';

export interface SystemSource {
  /** NodeJS.Platform: linux, darwin, win32, ... */
  readonly platform: string;
  readonly release: string;
  readonly arch: string;
  readonly memoryBytes: number;
  /** Model name of each logical processor. */
  readonly processors: readonly string[];
  /** One-minute load average. */
  loadAverage(): number;
  /** A small text file without the last newline; undefined when it cannot be read. */
  read(path: string): string | undefined;
}

export const systemSource: SystemSource = {
  platform: platform(),
  release: release(),
  arch: arch(),
  memoryBytes: totalmem(),
  processors: cpus().map(({ model }) => model),
  loadAverage: () => loadavg()[0] as number,
  read(path) {
    try {
      return readFileSync(path, 'utf8').trimEnd();
    } catch {
      // Other systems, kernels and containers do not have the file.
      return undefined;
    }
  },
};
