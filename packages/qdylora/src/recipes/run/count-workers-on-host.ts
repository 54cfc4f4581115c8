import { hostname } from 'node:os';
import { gatherTexts, type Communicator } from '@qdylora/collectives';

/** Workers of a run on the host of this one, itself included. All workers call it. */
export async function countWorkersOnHost(
  workers: Pick<Communicator, 'size' | 'allGather'>,
  host = hostname(),
): Promise<number> {
  const hosts = await gatherTexts(workers, host);
  return hosts.filter((other) => other === host).length;
}
