// A worker of test/mpi.test.ts: one of them ends or hangs, the others must not wait for ever.
import { connectWorld } from '../src/index.ts';

const [how] = process.argv.slice(2);
const world = await connectWorld({ timeoutSeconds: 2 });
await world.barrier();
if (world.rank === 1) {
  if (how === 'killed') process.kill(process.pid, 'SIGKILL');
  await new Promise((wake) => setTimeout(wake, 60_000)); // hangs
}
try {
  await world.allReduce(new Float32Array(8));
  console.log('not reached');
} catch (error) {
  console.log((error as Error).message);
  world.abort(3);
}
