/** A package that cannot be found, as where it is not installed. */
import Module from 'node:module';
import type { TestContext } from 'node:test';

/** As long as the test runs. */
export function hidePackage(t: TestContext, name: string): void {
  // What require.resolve asks in the end.
  const internals = Module as unknown as { _resolveFilename: (request: string, ...more: unknown[]) => string };
  const resolve = internals._resolveFilename;
  t.after(() => (internals._resolveFilename = resolve));
  internals._resolveFilename = (request, ...more) => {
    if (request === name) throw Object.assign(new Error('not found'), { code: 'MODULE_NOT_FOUND' });
    return resolve.call(Module, request, ...more);
  };
}
