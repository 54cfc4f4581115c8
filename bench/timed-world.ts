import type { Communicator } from '@qdylora/collectives';

/** A world, and the seconds that this worker has spent in its collectives. */
export interface TimedWorld {
  readonly world: Communicator;
  readonly seconds: number;
}

/** The same world with a clock. Waiting for the other workers counts. */
export function timedWorld(world: Communicator): TimedWorld {
  let seconds = 0;
  const timed =
    <A extends readonly unknown[]>(collective: (...args: A) => Promise<void>) =>
    async (...args: A): Promise<void> => {
      const start = performance.now();
      await collective(...args);
      seconds += (performance.now() - start) / 1000;
    };
  return {
    world: {
      ...world,
      allReduce: timed(world.allReduce),
      broadcast: timed(world.broadcast),
      allGather: timed(world.allGather) as Communicator['allGather'],
      allToAll: timed(world.allToAll) as Communicator['allToAll'],
      barrier: timed(world.barrier),
    },
    get seconds() {
      return seconds;
    },
  };
}
