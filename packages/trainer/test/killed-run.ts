import { train } from '../src/index.ts';
import { tinyOptions } from './tiny-run.ts';

// A run in a process of its own, for a test that kills it: node … killed-run.ts <folder> <steps>. Prints each
// step when it is done.
const [folder, steps] = process.argv.slice(2);
const run = train(
  tinyOptions({ totalSteps: Number(steps), save: { folder: folder!, every: 1 }, resume: 'latest' }),
);
for await (const event of run)
  if (event.type === 'step') process.stdout.write(`${event.step} ${event.loss}\n`);
