import { hostname } from 'node:os';
import { gatherTexts, type Communicator } from '@qdylora/collectives';
import { allowedProcessors } from './processors.ts';

/** A worker: its process, and the processors that it may run on. */
export interface PlacedWorker {
  readonly host: string;
  readonly pid: number;
  readonly processors: readonly number[];
}

/** Where all workers run, in their order. All of them call it. */
export async function placeWorkers(world: Communicator): Promise<PlacedWorker[]> {
  const placed: PlacedWorker = { host: hostname(), pid: process.pid, processors: allowedProcessors() };
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
