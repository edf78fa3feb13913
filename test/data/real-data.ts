/** Where real data lies, if it does: the folder in KDX_DATA, else shared/data beside the repository. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const realData = process.env['KDX_DATA'] ?? fileURLToPath(new URL('../../../shared/data', import.meta.url));

/** The reason to skip a test that needs real data, or false. */
export const noRealData =
  ['glue', 'bert-base-uncased'].every((name) => existsSync(join(realData, name))) === false &&
  'needs glue/ and bert-base-uncased/ in the folder named by KDX_DATA';
