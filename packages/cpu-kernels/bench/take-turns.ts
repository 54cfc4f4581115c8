/**
 * Somebody who does the same work as the others: `time` makes one untimed call and then `samples`
 * measurements of `calls` calls each, in seconds per call.
 */
export interface Contestant {
  readonly name: string;
  time(samples: number, calls: number): Promise<readonly number[]> | readonly number[];
}

export interface TurnOptions {
  readonly rounds: number;
  /** About how long one turn lasts, in seconds. */
  readonly turnSeconds: number;
  /** About how long all rounds last at most, in seconds; three rounds run in any case. */
  readonly mostSeconds: number;
  /** Called once a round. */
  readonly between: () => void;
}

/** A measurement shorter than this is mostly the clock's and the call's own cost: 0.2 ms. */
const SHORTEST_SAMPLE = 2e-4;

/**
 * Lets everybody have a turn, round after round, so that a machine that slows down slows all of them. Seconds
 * per call, of each contestant.
 */
export async function takeTurns(
  contestants: readonly Contestant[],
  { rounds, turnSeconds, mostSeconds, between }: TurnOptions,
): Promise<number[][]> {
  const seconds = contestants.map((): number[] => []);
  const plans: [samples: number, calls: number][] = [];
  let roundSeconds = 0;
  for (const one of contestants) {
    const first = (await one.time(1, 1))[0];
    const calls = Math.max(1, Math.ceil(SHORTEST_SAMPLE / first));
    const samples = Math.min(12, Math.max(1, Math.floor(turnSeconds / (first * calls))));
    plans.push([samples, calls]);
    roundSeconds += first * (samples * calls + 1);
  }
  const count = Math.max(3, Math.min(rounds, Math.floor(mostSeconds / roundSeconds)));
  for (let round = 0; round < count; round++) {
    between();
    for (const [i, one] of contestants.entries()) seconds[i].push(...(await one.time(...plans[i])));
  }
  return seconds;
}

/** A contestant that runs in this process. */
export const ownContestant = (name: string, run: () => void): Contestant => ({
  name,
  time(samples, calls) {
    run();
    return Array.from({ length: samples }, () => {
      const start = performance.now();
      for (let i = 0; i < calls; i++) run();
      return (performance.now() - start) / 1e3 / calls;
    });
  },
});
