import type { Op } from './op.ts';

const isOp = (value: unknown): value is Op =>
  typeof value === 'object' &&
  value !== null &&
  'takes' in value &&
  'reference' in value &&
  'shapes' in value;

/** The ops among what some modules export, for example `opsOf(tensor, quant, loraDynamic)`. */
export const opsOf = (...modules: readonly object[]): readonly Op[] =>
  modules.flatMap((module) => Object.values(module).filter(isOp));
