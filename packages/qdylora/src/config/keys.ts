import { ADAPTER_KEYS } from './keys/adapter-keys.ts';
import { DATA_KEYS } from './keys/data-keys.ts';
import { METHOD_KEYS, MODEL_KEYS } from './keys/model-keys.ts';
import { SAVING_KEYS } from './keys/saving-keys.ts';
import { TRAINING_KEYS } from './keys/training-keys.ts';
import { WORKER_KEYS } from './keys/worker-keys.ts';

/**
 * Every key of a run, once. YAML keys, flags, TypeScript options, defaults, help and error messages all come
 * from here. Null means left out. Names are those of transformers, PEFT and axolotl.
 */
export const KEYS = {
  ...MODEL_KEYS,
  ...METHOD_KEYS,
  ...ADAPTER_KEYS,
  ...DATA_KEYS,
  ...TRAINING_KEYS,
  ...WORKER_KEYS,
  ...SAVING_KEYS,
};

export type KeyName = keyof typeof KEYS;

/** Names of all keys, in the order in which they are shown. */
export const KEY_NAMES = Object.keys(KEYS) as KeyName[];
