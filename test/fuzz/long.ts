/**
 * The long tier of the fuzz tests:
 *   node --conditions=source --import tsx test/fuzz/long.ts --mutations 10000 [--seed N]
 * prints the seeds of failures and exits with 1 if there are any; `--seed N --mutations 1` repeats one.
 */
import { parseArgs } from 'node:util';
import { runCampaign } from './campaign.ts';

const { values } = parseArgs({
  options: { mutations: { type: 'string', default: '10000' }, seed: { type: 'string', default: '0' } },
});
const [from, count] = [Number(values.seed), Number(values.mutations)];
if (![from, count].every((value) => Number.isSafeInteger(value) && value >= 0))
  throw new Error('--seed and --mutations take whole numbers');

const start = performance.now();
let done = 0;
const { refused, faults } = await runCampaign(from, count, (report) => {
  if (report.type === 'end' && ++done % 500 === 0) process.stderr.write(`${done} of ${count}\n`);
});
for (const { seed, what, fault } of faults) console.log(`seed ${seed} (${what})\n  ${fault.replaceAll('\n', '\n  ')}`);
const seconds = Math.round((performance.now() - start) / 1000);
console.log(`${count} mutations: ${refused} refused, ${count - refused} read, ${faults.length} faults, ${seconds} s`);
process.exitCode = faults.length > 0 ? 1 : 0;
