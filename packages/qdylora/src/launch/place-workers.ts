import { hostname } from 'node:os';
import { gatherTexts, type Communicator } from '@qdylora/collectives';
import { allowedProcessors } from './processors.ts';

/** A worker: its process, the processors that it may run on, and the GPUs that it sees. */
export interface PlacedWorker {
  readonly host: string;
  readonly pid: number;
  readonly processors: readonly number[];
  /** PCI addresses, in the order of the driver; null where it does not train on a GPU. */
  readonly gpus: readonly string[] | null;
}

/**
 * Where all workers run, in their order. All of them call it.
 *
 * @param gpus those of this worker
 */
export async function placeWorkers(world: Communicator, gpus: PlacedWorker['gpus']): Promise<PlacedWorker[]> {
  const placed: PlacedWorker = { host: hostname(), pid: process.pid, processors: allowedProcessors(), gpus };
  const texts = await gatherTexts(world, JSON.stringify(placed));
  return texts.map((text) => JSON.parse(text) as PlacedWorker);
}

/** Workers that are named one by one. */
const MOST_NAMED = 64;

/** The process of each worker: some launchers say only which process was lost. */
export function placesText(workers: readonly PlacedWorker[]): string {
  const named = workers.slice(0, MOST_NAMED).map(({ host, pid }, rank) => `${rank} is ${pid} on ${host}`);
  const others = workers.length > MOST_NAMED ? `, and ${workers.length - MOST_NAMED} more` : '';
  const count = `${workers.length} worker${workers.length === 1 ? '' : 's'}`;
  return `${count}, by process: ${named.join(', ')}${others}.`;
}
