import {
  abortSignal,
  checkOptions,
  numberWithin,
  objectWith,
  orNull,
  someFunction,
  wholeNumber,
} from '@qdylora/contract';

const HOOKS = {
  signal: abortSignal,
  device: wholeNumber(),
  onNotice: someFunction,
  onProgress: someFunction,
  onStep: someFunction,
  onEvaluate: someFunction,
  onSave: someFunction,
  fs: objectWith(),
  shardBytes: numberWithin({ above: 0 }),
  memoryBytes: orNull(numberWithin({ above: 0 })),
};

/**
 * Checks the options that are no keys of a run, because only a program can pass them, before anything begins.
 *
 * @throws QdyloraError BAD_ARGUMENT that names an option of another kind
 */
export const checkHooks = (where: string, hooks: { readonly [Name in keyof typeof HOOKS]?: unknown }): void =>
  checkOptions(where, hooks, HOOKS);
