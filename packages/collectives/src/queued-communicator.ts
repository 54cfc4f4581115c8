import type { CallQueue } from './call-queue.ts';
import { assertGathered, assertReducible, assertReduction, assertRoot, REDUCTIONS } from './check-arrays.ts';
import type { Communicator, NumberArray, SentArray } from './communicator.ts';

/** The collectives of an addon. The caller starts one at a time. */
export interface CollectiveAddon {
  /** `reduction`: its number in native/typed-arrays.h. */
  allReduce(values: NumberArray, reduction: number): Promise<void>;
  broadcast(values: SentArray, root: number): Promise<void>;
  allGather(part: SentArray, all: SentArray): Promise<void>;
  allToAll(parts: SentArray, received: SentArray): Promise<void>;
  barrier(): Promise<void>;
}

/** A communicator over an addon, whose calls wait for each other in a queue. */
export function queuedCommunicator(
  addon: CollectiveAddon,
  queue: CallQueue,
  world: Pick<Communicator, 'rank' | 'size' | 'library' | 'abort' | 'close'>,
): Communicator {
  const { size } = world;
  return {
    ...world,
    allReduce: (values, reduction = 'sum') =>
      queue.run('all-reduce', () => {
        assertReducible(values);
        assertReduction(reduction);
        return addon.allReduce(values, REDUCTIONS.indexOf(reduction));
      }),
    broadcast: (values, root = 0) =>
      queue.run('broadcast', () => {
        assertRoot(root, size);
        return addon.broadcast(values, root);
      }),
    allGather: (part, all) =>
      queue.run('all-gather', () => {
        assertGathered('all-gather', part, all, { partLength: part.length, size });
        return addon.allGather(part, all);
      }),
    allToAll: (parts, received) =>
      queue.run('all-to-all', () => {
        assertGathered('all-to-all', parts, received, { partLength: parts.length / size, size });
        return addon.allToAll(parts, received);
      }),
    barrier: () => queue.run('barrier', () => addon.barrier()),
    [Symbol.asyncDispose]: world.close,
  };
}
