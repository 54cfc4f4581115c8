import { SENT_FORMATS } from '@qdylora/collectives';
import { booleanKey, choiceKey, type Key } from '../key.ts';

/** How several processes share a run. */
export const WORKER_KEYS = {
  fastReduce: booleanKey(false, {
    group: 'Training',
    about:
      'Several processes: add gradients in the order of the MPI library. Faster, but the last bits of the ' +
      'result depend on the number of processes',
  }),
  gradientCompression: choiceKey(['none', ...SENT_FORMATS], 'none', {
    group: 'Training',
    about:
      'Several processes: send gradients as bf16 or int8, for slow networks. The next step makes up for the ' +
      'rounding. The result depends on the number of processes',
  }),
} satisfies Record<string, Key>;
