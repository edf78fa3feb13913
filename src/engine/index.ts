/** Executors: run graphs on a device, with tensors that stay there. */
export type * from './engine.ts';
export { openEngine, probeDevices, type OpenOptions, type Probe } from './open.ts';
export type { DeviceReport } from './device-report.ts';
export type { Backend } from './driver.ts';
export type { Driver, DriverModule, RunCall, Signature } from './protocol.ts';
export { moduleBeside, startHost, type Host } from './host.ts';
export { hostedEngine, loadError, type EngineParts } from './hosted-engine.ts';
export { childScript } from './child-script.ts';
export { deviceVariables } from './device-variables.ts';
export { nativeLibrary } from './library.ts';
export { nodeSessionOptions } from './node-options.ts';
export { processor, type Processor } from './processor.ts';
export { findWebPackage, requireWebPackage, type WebPackage } from './web-package.ts';
