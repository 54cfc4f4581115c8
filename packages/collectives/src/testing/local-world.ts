import { DisposedError, QdyloraError } from '@qdylora/contract';
import { assertGathered, assertReducible, assertReduction, assertRoot } from '../check-arrays.ts';
import type { Communicator, NumberArray, Reduction, SentArray } from '../communicator.ts';

/** What a worker calls. All workers of a meeting must call the same. */
interface Call {
  readonly name: string;
  /** The reduction or the root. */
  readonly argument?: string;
  readonly arrays: readonly SentArray[];
  /** Runs when all have come. `all`: the arrays of each worker */
  run(all: readonly (readonly SentArray[])[]): void;
}

/** One collective: what the workers bring to it, and its end. */
interface Meeting {
  /** The call of the worker that came first. */
  readonly text: string;
  readonly first: number;
  readonly arrays: (readonly SentArray[])[];
  readonly done: Promise<void>;
  settle(): void;
  fail(error: Error): void;
}

/** What the workers share. */
interface World {
  readonly size: number;
  readonly meetings: Meeting[];
  /** Number of collectives that each worker has called. */
  readonly counts: number[];
  readonly isClosed: boolean[];
  /** The first failure, with which all later calls fail. */
  failure: QdyloraError | null;
}

/**
 * Workers that share one process: for tests of programs that use a `Communicator`. Each runs as an async
 * function of its own. They refuse calls that do not fit together, as MPI does: another collective, array
 * length, element type, reduction or root. A worker that ends must close its communicator: otherwise others
 * wait for its calls for ever.
 *
 * @example
 * await Promise.all(localWorld(3).map((world) => trainOn(world)));
 */
export function localWorld(size: number): Communicator[] {
  const world: World = {
    size,
    meetings: [],
    counts: Array<number>(size).fill(0),
    isClosed: Array<boolean>(size).fill(false),
    failure: null,
  };
  return Array.from({ length: size }, (_, rank) => localWorker(rank, world));
}

function localWorker(rank: number, world: World): Communicator {
  const { size } = world;
  const close = (): Promise<void> => leave(rank, world);
  return {
    rank,
    size,
    library: `${size} workers of one process`,
    allReduce: (values, reduction = 'sum') =>
      meet(rank, world, {
        name: 'all-reduce',
        argument: reduction,
        arrays: [values],
        run(all) {
          const arrays = all.map(([array]) => array as NumberArray);
          arrays.forEach(assertReducible);
          reduceAll(arrays, reduction);
        },
      }),
    broadcast: (values, root = 0) =>
      meet(rank, world, {
        name: 'broadcast',
        argument: `root ${root}`,
        arrays: [values],
        run(all) {
          assertRoot(root, size);
          for (const [array] of all) array.set(all[root][0]);
        },
      }),
    allGather: (part, gathered) =>
      meet(rank, world, { name: 'all-gather', arrays: [part, gathered], run: gatherAll }),
    allToAll: (parts, received) =>
      meet(rank, world, { name: 'all-to-all', arrays: [parts, received], run: exchangeAll }),
    barrier: () => meet(rank, world, { name: 'barrier', arrays: [], run: () => {} }),
    abort(status = 1) {
      throw failWorld(world, `Worker ${rank} ends the world with status ${status}`);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Joins the next collective of this worker; the last worker to come runs it. */
function meet(rank: number, world: World, call: Call): Promise<void> {
  if (world.isClosed[rank]) return Promise.reject(new DisposedError('communicator'));
  if (world.failure) return Promise.reject(world.failure);
  const index = world.counts[rank]++;
  const text = textOf(call);
  const meeting = (world.meetings[index] ??= newMeeting(rank, text));
  const gone = world.isClosed.findIndex((isClosed, other) => isClosed && world.counts[other] <= index);
  if (gone >= 0) failWorld(world, `Worker ${rank} calls ${text}, but worker ${gone} has left`);
  else if (meeting.text !== text)
    failWorld(world, `Worker ${rank} calls ${text}, but worker ${meeting.first} calls ${meeting.text}`);
  meeting.arrays[rank] = call.arrays;
  if (Object.keys(meeting.arrays).length === world.size) conclude(meeting, call);
  return meeting.done;
}

/** Closes a worker after its calls. A collective that waits for it fails. */
async function leave(rank: number, world: World): Promise<void> {
  if (world.isClosed[rank]) return;
  world.isClosed[rank] = true;
  const index = world.counts[rank];
  const waiting = world.meetings[index];
  if (waiting) failWorld(world, `Worker ${waiting.first} calls ${waiting.text}, but worker ${rank} has left`);
  await world.meetings[index - 1]?.done.catch(() => {
    /* its caller gets the error */
  });
}

/** All workers of a meeting succeed or fail together. */
function conclude(meeting: Meeting, call: Call): void {
  try {
    call.run(meeting.arrays);
    meeting.settle();
  } catch (error) {
    meeting.fail(error as Error);
  }
}

/** Fails all collectives that have not ended, and all later ones. @returns the error */
function failWorld(world: World, problem: string): QdyloraError {
  const failure = new QdyloraError('COLLECTIVE_FAILED', {
    where: `${world.size} workers of one process`,
    problem,
    nextStep: 'All workers must make the same calls, in the same order, before they close.',
  });
  world.failure ??= failure;
  for (const meeting of world.meetings) meeting.fail(failure); // without effect on those that have ended
  return failure;
}

/** `all-reduce (sum) of Float32Array [3]` */
function textOf({ name, argument, arrays }: Call): string {
  const operands = arrays.map((array) => `${array.constructor.name} [${array.length}]`).join(' and ');
  return `${name}${argument ? ` (${argument})` : ''}${operands && ` of ${operands}`}`;
}

function newMeeting(first: number, text: string): Meeting {
  let settle = (): void => {};
  let fail = (_: Error): void => {};
  const done = new Promise<void>((resolve, reject) => {
    settle = resolve;
    fail = reject;
  });
  return { text, first, arrays: [], done, settle, fail };
}

const gatherAll: Call['run'] = (all) => {
  const size = all.length;
  for (const [sent, target] of all)
    assertGathered('all-gather', sent, target, { partLength: sent.length, size });
  for (const [, target] of all)
    all.forEach(([sent], worker) => {
      target.set(sent, worker * sent.length);
    });
};

const exchangeAll: Call['run'] = (all) => {
  const size = all.length;
  const length = all[0][0].length / size;
  for (const [sent, target] of all) assertGathered('all-to-all', sent, target, { partLength: length, size });
  all.forEach(([, target], to) => {
    all.forEach(([sent], from) => {
      target.set(sent.subarray(to * length, (to + 1) * length), from * length);
    });
  });
};

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
