import type { Communicator } from './communicator.ts';
import { gatherParts } from './gather-parts.ts';

/** The text of every worker, on every worker, in the order of the workers. All workers call it. */
export async function gatherTexts(
  world: Pick<Communicator, 'size' | 'allGather'>,
  text: string,
): Promise<readonly string[]> {
  const parts = await gatherParts(world, new TextEncoder().encode(text));
  return parts.map((part) => new TextDecoder().decode(part));
}
