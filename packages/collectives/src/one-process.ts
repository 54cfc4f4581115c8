import { DisposedError } from '@qdylora/contract';
import { assertGathered, assertReducible, assertReduction, assertRoot } from './check-arrays.ts';
import type { Communicator, SentArray } from './communicator.ts';

/**
 * A world of one worker: every collective is a copy or nothing. A program that is written against
 * `Communicator` runs unchanged on one process.
 *
 * @example
 * await using world = oneProcess();
 * await world.allReduce(gradients); // unchanged
 */
export function oneProcess(): Communicator {
  let isClosed = false;
  const assertOpen = (): void => {
    if (isClosed) throw new DisposedError('communicator');
  };
  const copy = async <T extends SentArray>(where: string, part: T, all: T): Promise<void> => {
    assertOpen();
    assertGathered(where, part, all, { partLength: part.length, size: 1 });
    all.set(part);
  };
  const close = async (): Promise<void> => {
    isClosed = true;
  };
  return {
    rank: 0,
    size: 1,
    library: 'one process',
    async allReduce(values, reduction = 'sum') {
      assertOpen();
      assertReducible(values);
      assertReduction(reduction);
    },
    async broadcast(_, root = 0) {
      assertOpen();
      assertRoot(root, 1);
    },
    allGather: (part, all) => copy('all-gather', part, all),
    allToAll: (parts, received) => copy('all-to-all', parts, received),
    async barrier() {
      assertOpen();
    },
    abort(status = 1) {
      process.exit(status);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
