import { main } from './cli/main.ts';
import { readEnvironment } from './cli/read-env.ts';
import { createTerminal } from './cli/terminal.ts';

/** Beside this file, in dist as in the sources (where the thread inherits tsx from the command line). */
const trainWorker = new URL(import.meta.url.endsWith('.ts') ? './train-worker.ts' : './train-worker.js', import.meta.url);

process.exitCode = await main(process.argv.slice(2), { terminal: createTerminal(readEnvironment(), process), trainWorker });
