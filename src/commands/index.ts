/** The commands of the shell itself, by name. */
import { Doctor } from './doctor.ts';
import { Inspect } from './inspect.ts';
import { Predict } from './predict.ts';

export const commands = { doctor: Doctor, inspect: Inspect, predict: Predict };
