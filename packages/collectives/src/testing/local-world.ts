import { assertGathered, assertReduction, assertRoot } from '../check-arrays.ts';
import type { Communicator, NumberArray, Reduction, SentArray } from '../communicator.ts';

/** What the workers bring to one collective, and what it does when all have come. */
interface Meeting {
  readonly name: string;
  readonly arrays: (readonly SentArray[])[];
  readonly done: Promise<void>;
  settle(): void;
  fail(error: Error): void;
}

/**
 * Workers that share one process: for tests of programs that use a `Communicator`. Each runs as an async
 * function of its own.
 *
 * @example
 * await Promise.all(localWorld(3).map((world) => trainOn(world)));
 */
export function localWorld(size: number): Communicator[] {
  const meetings: Meeting[] = [];
  return Array.from({ length: size }, (_, rank) => localWorker(rank, size, meetings));
}

function localWorker(rank: number, size: number, meetings: Meeting[]): Communicator {
  let next = 0;
  const meet = (
    name: string,
    arrays: readonly SentArray[],
    run: (all: readonly (readonly SentArray[])[]) => void,
  ): Promise<void> => {
    const meeting = (meetings[next++] ??= newMeeting(name));
    if (meeting.name !== name) {
      meeting.fail(new Error(`Worker ${rank} calls ${name}, another one ${meeting.name}.`));
      return meeting.done;
    }
    meeting.arrays[rank] = arrays;
    if (Object.keys(meeting.arrays).length === size) conclude(meeting, run);
    return meeting.done;
  };
  return {
    rank,
    size,
    library: `${size} workers of one process`,
    allReduce: (values, reduction = 'sum') =>
      meet('all-reduce', [values], (all) => {
        reduceAll(
          all.map(([array]) => array as NumberArray),
          reduction,
        );
      }),
    broadcast: (values, root = 0) =>
      meet('broadcast', [values], (all) => {
        assertRoot(root, size);
        for (const [array] of all) array.set(all[root][0]);
      }),
    allGather: (part, gathered) =>
      meet('all-gather', [part, gathered], (all) => {
        for (const [sent, target] of all)
          assertGathered('all-gather', sent, target, { partLength: sent.length, size });
        for (const [, target] of all)
          all.forEach(([sent], worker) => {
            target.set(sent, worker * sent.length);
          });
      }),
    allToAll: (parts, received) =>
      meet('all-to-all', [parts, received], (all) => {
        for (const [sent, target] of all)
          assertGathered('all-to-all', sent, target, { partLength: sent.length / size, size });
        const length = parts.length / size;
        all.forEach(([, target], to) => {
          all.forEach(([sent], from) => {
            target.set(sent.subarray(to * length, (to + 1) * length), from * length);
          });
        });
      }),
    barrier: () => meet('barrier', [], () => {}),
    abort(status = 1) {
      throw new Error(`Worker ${rank} ends the world with status ${status}.`);
    },
    async close() {},
    async [Symbol.asyncDispose]() {},
  };
}

/** All workers of a meeting succeed or fail together. */
function conclude(meeting: Meeting, run: (all: Meeting['arrays']) => void): void {
  try {
    run(meeting.arrays);
    meeting.settle();
  } catch (error) {
    meeting.fail(error as Error);
  }
}

function newMeeting(name: string): Meeting {
  let settle = (): void => {};
  let fail = (_: Error): void => {};
  const done = new Promise<void>((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  return { name, arrays: [], done, settle, fail };
}

const OPERATIONS: Readonly<Record<Reduction, (a: number, b: number) => number>> = {
  sum: (a, b) => a + b,
  max: Math.max,
  min: Math.min,
};

function reduceAll(arrays: readonly NumberArray[], reduction: Reduction): void {
  assertReduction(reduction);
  const operation = OPERATIONS[reduction];
  const result = arrays[0].slice();
  for (const array of arrays.slice(1))
    array.forEach((value, i) => {
      result[i] = operation(result[i], value);
    });
  for (const array of arrays) array.set(result);
}
