import { SENT_FORMATS } from '@qdylora/collectives';
import * as z from 'zod';
import { booleanKey, choiceKey, type Key } from '../key.ts';

/** How several processes share a run. */
export const WORKER_KEYS = {
  fastReduce: booleanKey(false, {
    group: 'Training',
    about:
      'Several processes: let MPI or NCCL choose the order in which gradients are added. Faster, but the ' +
      'last bits of the result depend on the number of processes. Without a launcher all micro batches are ' +
      'added to one sum, so the last bits differ from those of launch -n 1',
  }),
  gradientCompression: choiceKey(['none', ...SENT_FORMATS], 'none', {
    group: 'Training',
    about:
      'Several processes: send gradients as bf16 or int8, for slow networks. The rounding error of a step ' +
      'is added to the next one. The result depends on the number of processes',
  }),
  maxRankByWorker: {
    group: 'Training',
    about:
      'Several processes: the largest rank that each one trains (64,8). It runs larger ranks at its own ' +
      'largest, and the gradient of each adapter row is the mean over the processes that trained it. A ' +
      'small rank saves only sums of gradients and activations: every process holds all gradients and ' +
      'states, since each updates all rows',
    flag: 'numbers',
    expected: 'a list of whole numbers ≥ 1, one for each of two processes or more',
    schema: z.array(z.number().int().gte(1).lte(4096)).min(2).nullable().default(null),
  },
} satisfies Record<string, Key>;
