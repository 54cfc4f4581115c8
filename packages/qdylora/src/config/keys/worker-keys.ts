import { SENT_FORMATS } from '@qdylora/collectives';
import * as z from 'zod';
import { booleanKey, choiceKey, type Key } from '../key.ts';

/** How several processes share a run. */
export const WORKER_KEYS = {
  fastReduce: booleanKey(false, {
    group: 'Training',
    about:
      'Several processes: add gradients in the order of MPI or NCCL. Faster, but the last bits of the ' +
      'result depend on the number of processes. Without a launcher each micro batch is added to one sum, ' +
      'so the last bits differ from those of launch -n 1',
  }),
  gradientCompression: choiceKey(['none', ...SENT_FORMATS], 'none', {
    group: 'Training',
    about:
      'Several processes: send gradients as bf16 or int8, for slow networks. The next step makes up for ' +
      'the rounding. The result depends on the number of processes',
  }),
  maxRankByWorker: {
    group: 'Training',
    about:
      'Several processes: the largest rank that each of them trains (64,8). It runs larger ranks at its ' +
      'own, and each row of the adapter gets the mean over the processes that trained it. A small one ' +
      'saves sums and activations of larger ranks, but has all gradients and states, since each updates ' +
      'all rows',
    flag: 'numbers',
    expected: 'a list of whole numbers ≥ 1, one for each of two processes or more',
    schema: z.array(z.number().int().gte(1).lte(4096)).min(2).nullable().default(null),
  },
} satisfies Record<string, Key>;
