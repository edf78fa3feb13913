/** An engine that all parts of an export share, so that tests need not start one for each. */
import type { EngineScope } from '../../plugins/export/src/checked-file.ts';
import type { Engine } from '../../src/engine/index.ts';

export function scopeOn(engine: Engine): EngineScope {
  return (work) => work(engine);
}
