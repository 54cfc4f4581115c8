import { booleanKey, type Key } from '../key.ts';

/** How several processes share a run. */
export const WORKER_KEYS = {
  fastReduce: booleanKey(false, {
    group: 'Training',
    about:
      'Several processes: add gradients in the order of the MPI library. Faster, but the last bits of the ' +
      'result depend on the number of processes',
  }),
} satisfies Record<string, Key>;
