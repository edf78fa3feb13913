/** The sample command as a program of its own. */
import { fileURLToPath } from 'node:url';
import { Sample } from './sample.ts';

await Sample.run(process.argv.slice(2), {
  root: fileURLToPath(new URL('.', import.meta.url)),
  pjson: { name: 'kdx', version: '0.0.0', oclif: { bin: 'kdx' } },
});
process.exit();
