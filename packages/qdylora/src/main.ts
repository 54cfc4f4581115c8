import { main } from './cli/main.ts';
import { readEnvironment } from './cli/read-env.ts';
import { survivePipes } from './cli/survive-pipes.ts';
import { createTerminal } from './cli/terminal.ts';

/**
 * In dist, the worker script is beside this file. From source there is none: tsx does not work in threads
 * (Node 20), so training runs in this thread, and progress waits for each pass.
 */
const trainWorker = import.meta.url.endsWith('.ts') ? null : new URL('./train-worker.js', import.meta.url);

const environment = readEnvironment();
survivePipes(process);
if (environment.outlivesTerminal) process.on('SIGHUP', () => {}); // Node would undo what nohup does
process.exitCode = await main(process.argv.slice(2), {
  terminal: createTerminal(environment, process),
  trainWorker,
  page: new URL('../page/', import.meta.url),
});
