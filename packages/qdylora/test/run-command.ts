import { fileURLToPath } from 'node:url';
import { main } from '../src/cli/main.ts';
import { terminalInMemory } from './terminal-in-memory.ts';

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process. */
export const command = (...argv: string[]): Promise<Ended> => commandAt(80, ...argv);

/** The same in a terminal of a given width. */
export async function commandAt(columns: number, ...argv: string[]): Promise<Ended> {
  const { terminal, out, err } = terminalInMemory({ columns });
  const code = await main(argv, { terminal, trainWorker: null, page: PAGE });
  return { code, out: out(), err: err() };
}

/** Folder of the page that `serve` shows. */
export const PAGE = new URL('../page/', import.meta.url);

const script = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** Arguments of Node that run the command from its sources. */
export const fromSource = ['--conditions=source', '--import', 'tsx', script];
