// A worker of test/two-hosts.test.ts: reduces until the other host is lost.
import { connectWorld } from '../src/index.ts';

const world = await connectWorld({ timeoutSeconds: 20 });
const values = new Float32Array(100_000);
try {
  for (let round = 0; round < 1000; round++) {
    await world.allReduce(values);
    if (round === 3 && world.rank === 0) console.log('under way');
  }
  console.log('not reached');
} catch (error) {
  console.log((error as Error).message);
  world.abort(3);
}
