/** The sample command as a program of its own. */
import { Sample } from './sample.ts';

await Sample.run(process.argv.slice(2), {
  root: import.meta.dirname,
  pjson: { name: 'kdx', version: '0.0.0', oclif: { bin: 'kdx' } },
});
process.exit();
