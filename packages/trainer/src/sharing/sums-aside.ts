import { blocksOf } from '@qdylora/collectives';
import type { Pass } from '../step/run-pass.ts';
import { countedPasses, termsOf } from './passes-of-worker.ts';

/**
 * How many sums of gradients one process keeps beside the gradients while each pass of a step runs
 * (`gradientBlocks`): one for each node of the tree that earlier passes have completed. Passes without a
 * token to predict do not run and are left out.
 */
export function sumsAside(passes: readonly Pass[]): Map<Pass, number> {
  const counted = countedPasses(passes);
  return new Map(
    termsOf(counted).flatMap(({ from, to }, term) =>
      counted.slice(from, to).map((pass) => [pass, blocksOf({ from: 0, to: term }).length] as const),
    ),
  );
}
