/** The driver over TensorFlow.js as the engine's worker opens it. */
import type { DriverModule } from 'kdx/engine';
import { openDriver, type TfjsSource } from './driver.ts';
import { loadedAddons, loadTensorflow, type Backend, type Loaded } from './load.ts';

type TfjsModule = DriverModule<readonly Backend[], TfjsSource, Omit<Loaded, 'tf'>>;

/** Tries the backends in that order. */
export const open: TfjsModule['open'] = async (backends, isClosing) => {
  const { tf, ...loaded } = await loadTensorflow(backends);
  return { driver: openDriver(tf, isClosing), ready: loaded };
};

/** TensorFlow registers code for the end of the process, which crashes if its addon has gone with the worker. */
export const addons = loadedAddons;
