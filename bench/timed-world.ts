import type { Communicator } from '@qdylora/collectives';

/** A world, and the seconds that this worker has spent in its collectives. */
export interface TimedWorld {
  readonly world: Communicator;
  seconds: number;
}

/** The same world with a clock. Waiting for the other workers counts. */
export function timedWorld(world: Communicator): TimedWorld {
  const timed: TimedWorld = { world, seconds: 0 };
  const measure =
    <A extends readonly unknown[]>(collective: (...args: A) => Promise<void>) =>
    async (...args: A): Promise<void> => {
      const start = performance.now();
      await collective(...args);
      timed.seconds += (performance.now() - start) / 1000;
    };
  return Object.assign(timed, {
    world: {
      ...world,
      allReduce: measure(world.allReduce),
      broadcast: measure(world.broadcast),
      allGather: measure(world.allGather) as Communicator['allGather'],
      allToAll: measure(world.allToAll) as Communicator['allToAll'],
      barrier: measure(world.barrier),
    },
  });
}
