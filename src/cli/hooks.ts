/** How plugins contribute to the shell: a function for an event, named under `oclif.hooks` of the plugin's package.json. */
import type { Config, Hook, Interfaces } from '@oclif/core';
import type { Engine, OpenOptions } from '../engine/index.ts';

/** An engine that is wanted, by its name and the other values of the device flags. oclif takes no interface here. */
export type EngineRequest = {
  readonly name: 'tfjs';
  readonly device: NonNullable<OpenOptions['device']>;
  readonly threads?: number;
};

export interface KdxHooks extends Interfaces.Hooks {
  /** Opens the engine of this name; undefined when it is not the plugin's. */
  'kdx:engine': { options: EngineRequest; return: Engine | undefined };
}

export type EngineHook = Hook<'kdx:engine', KdxHooks>;
export type HookRunner = Pick<Config, 'runHook'>;
