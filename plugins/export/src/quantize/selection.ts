/** Which linear layers and tables of a graph are quantized, and why the others are not. */
import { z } from 'zod';
import { KdxError, nearest } from 'kdx/errors';
import { producers, type Graph, type Node } from 'kdx/graph';
import type { Constants } from './constants.ts';
import { findEmbeddingTables, type EmbeddingTable } from './embedding-tables.ts';
import { columnsOf, findLinearLayers, nameOf, type LinearLayer } from './linear-layers.ts';
import type { KeptNode } from './quantizer.ts';

/** Option of a quantizer: a list, or names with commas between them. */
export const excludeOption = z
  .union([z.array(z.string()), z.string().transform((names) => names.split(','))])
  .default([]);

export interface SelectionOptions {
  /** Nodes or weights that stay float; `*` stands for any characters. */
  readonly exclude: readonly string[];
  /** Whether the classifier on top stays float. */
  readonly keepHead: boolean;
}

export interface Selection {
  /** In graph order; of a shared weight, all layers or none. */
  readonly layers: readonly LinearLayer[];
  readonly tables: readonly EmbeddingTable[];
  readonly kept: readonly KeptNode[];
}

/** @throws KdxError `unknown-node` for an exclusion that matches nothing */
export function selectWeights(graph: Graph, constants: Constants, { exclude, keepHead }: SelectionOptions): Selection {
  const { layers, kept: unfit } = findLinearLayers(graph, constants);
  const tables = findEmbeddingTables(graph, constants);
  const isExcluded = excluder(exclude, [
    ...layers.flatMap(({ node, weight }) => [nameOf(node), weight.name]),
    ...tables.flatMap(({ name, lookups }) => [name, ...lookups.map(nameOf)]),
  ]);
  const heads = keepHead ? findHeads(graph, constants, layers) : [];
  const kept = [...unfit];
  /** Says for all users of a weight why it is kept. */
  const isKept = (name: string, users: readonly Node[], reason?: string): boolean => {
    const other = constants.readers(name).find((reader) => !users.includes(reader));
    if (other) reason ??= `${other.opType} ${nameOf(other)} reads its weight too`;
    if (constants.isOutput(name)) reason ??= 'its weight is an output of the graph';
    if ([name, ...users.map(nameOf)].some(isExcluded)) reason = 'excluded';
    if (reason !== undefined) for (const node of users) kept.push({ node: nameOf(node), opType: node.opType, reason });
    return reason !== undefined;
  };
  const keptWeights = new Set<string>();
  for (const [name, sharing] of layersByWeight(layers)) {
    let reason = sharing.some((layer) => heads.includes(layer)) ? 'classifier' : undefined;
    if (new Set(sharing.map(({ weight }) => weight.transposed)).size > 1) reason = 'its weight is also read transposed';
    const users = sharing.map(({ node }) => node);
    if (isKept(name, users, reason)) keptWeights.add(name);
  }
  return {
    layers: layers.filter(({ weight }) => !keptWeights.has(weight.name)),
    tables: tables.filter(({ name, lookups }) => !isKept(name, lookups)),
    kept,
  };
}

function layersByWeight(layers: readonly LinearLayer[]): Map<string, LinearLayer[]> {
  const groups = new Map<string, LinearLayer[]>();
  for (const layer of layers) groups.set(layer.weight.name, [...(groups.get(layer.weight.name) ?? []), layer]);
  return groups;
}

/** @param names that an exclusion may mean */
function excluder(patterns: readonly string[], names: readonly string[]): (name: string) => boolean {
  const tests = patterns.map((pattern) => {
    const parts = pattern.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'));
    const test = new RegExp(`^${parts.join('.*')}$`);
    if (!names.some((name) => test.test(name))) {
      const meant = nearest(pattern, names);
      throw new KdxError('unknown-node', `exclude: no linear layer, table or weight is called ${pattern}`, {
        suggestions: [meant === undefined ? 'kdx inspect lists the weights of a file' : `exclude=${meant}`],
      });
    }
    return test;
  });
  return (name) => tests.some((test) => test.test(name));
}

/**
 * Layers behind which nothing comes but what depends on them alone, and which have fewer outputs than inputs: classifiers
 * and regressions, but no word prediction and no pooler.
 */
function findHeads(graph: Graph, constants: Constants, layers: readonly LinearLayer[]): LinearLayer[] {
  const makers = producers(graph);
  return graph.outputs.flatMap(({ name }) => {
    for (let at: string | undefined = name; at !== undefined;) {
      const maker = makers.get(at);
      const layer = layers.find(({ node }) => node === maker);
      if (layer) return isNarrowing(layer) ? [layer] : [];
      const inputs = new Set(maker?.inputs.filter((input) => input !== '' && !constants.of(input)));
      at = inputs.size === 1 ? [...inputs][0] : undefined;
    }
    return [];
  });
}

function isNarrowing({ weight }: LinearLayer): boolean {
  const columns = columnsOf(weight);
  return columns < weight.value.data.length / columns;
}
