import type { Communicator } from './communicator.ts';

/** The text, or null, that the worker `root` has: all workers call it, and all get it. */
export async function broadcastText(
  world: Pick<Communicator, 'rank' | 'broadcast'>,
  text: string | null,
  root = 0,
): Promise<string | null> {
  const own = world.rank === root && text !== null ? new TextEncoder().encode(text) : null;
  const length = Int32Array.of(own ? own.length : -1);
  await world.broadcast(length, root);
  if (length[0] < 0) return null;
  const bytes = own ?? new Uint8Array(length[0]);
  await world.broadcast(bytes, root);
  return new TextDecoder().decode(bytes);
}
