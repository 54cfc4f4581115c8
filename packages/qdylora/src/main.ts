import { main } from './cli/main.ts';
import { readEnvironment } from './cli/read-env.ts';
import { survivePipes } from './cli/survive-pipes.ts';
import { createTerminal } from './cli/terminal.ts';

/**
 * Beside this file in dist. From source there is none: tsx does not reach into threads (Node 20), so training
 * runs in this one, and progress waits for each pass.
 */
const trainWorker = import.meta.url.endsWith('.ts') ? null : new URL('./train-worker.js', import.meta.url);

survivePipes(process);
process.exitCode = await main(process.argv.slice(2), {
  terminal: createTerminal(readEnvironment(), process),
  trainWorker,
});
