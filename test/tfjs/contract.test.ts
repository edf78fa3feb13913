/** The engine contract on TensorFlow.js, and the skips that its element types make. */
import { describe } from 'node:test';
import { tfjsEngine } from '../../plugins/tfjs/src/index.ts';
import { engineContract } from '../engine/contract.ts';
import { fastest, skipOf } from './backends.ts';

const noType = 'TensorFlow.js has no such element type';
const skips = {
  'float64 goes in and out, as a feed and as a variable': noType,
  'uint32 goes in and out, as a feed and as a variable': noType,
  'uint64 goes in and out, as a feed and as a variable': noType,
  'int64 goes in and out, as a feed and as a variable': 'int64 is held as int32, the numbers of the test do not fit',
  'float16 is raw bits': noType,
  'a model file with external data, and the optimized graph as a file':
    'TensorFlow.js runs graphs as they are; engine.test.ts has the part on external data',
};

/** In JavaScript it takes half a minute. */
describe('TensorFlow.js', { skip: skipOf[fastest] }, () => {
  engineContract(`tensorflow.js, ${fastest}`, () => tfjsEngine({ backend: fastest }), skips);
});
