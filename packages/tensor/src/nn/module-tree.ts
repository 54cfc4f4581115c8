import { Linear, type LinearLike } from './linear.ts';
import type { Parameter } from '../parameter.ts';

/** A layer: a name and parameters. Trees of layers are plain records and arrays. */
export interface Module {
  readonly name: string;
  parameters(): Parameter[];
}

const isModule = (value: unknown): value is Module =>
  typeof value === 'object' &&
  value !== null &&
  'parameters' in value &&
  typeof value.parameters === 'function';

/** All layers of a tree, in the order of its keys. */
export function modulesOf(tree: unknown): Module[] {
  if (isModule(tree)) return [tree];
  if (typeof tree !== 'object' || tree === null) return [];
  return Object.values(tree).flatMap(modulesOf);
}

/** All parameters of a tree. A tied weight, which is in two layers, appears once. */
export const parametersOf = (tree: unknown): Parameter[] => [
  ...new Set(modulesOf(tree).flatMap((module) => module.parameters())),
];

/** A copy of the tree in which `replace` replaces linear layers. All other layers are shared. */
export function mapLinears<T>(tree: T, replace: (layer: Linear) => LinearLike): T {
  if (tree instanceof Linear) return replace(tree) as T;
  if (isModule(tree) || typeof tree !== 'object' || tree === null) return tree;
  if (Array.isArray(tree)) return tree.map((item: unknown) => mapLinears(item, replace)) as T;
  return Object.fromEntries(
    Object.entries(tree).map(([key, value]) => [key, mapLinears(value, replace)]),
  ) as T;
}
