/** The onnxruntime-web of this plugin, if it is installed. */
import * as engine from 'kdx/engine';

export function findWebPackage(): engine.WebPackage | undefined {
  return engine.findWebPackage(import.meta.url);
}

/**
 * @param what needs it, such as a flag
 * @throws KdxError `missing-package`
 */
export function requireWebPackage(what: string): engine.WebPackage {
  return engine.requireWebPackage(import.meta.url, what);
}
