// A worker of mpi.test.ts and nccl.test.ts: runs every collective and prints a line if all results are right.
// Two paths, of NCCL and of the driver: over NCCL.
import { connectNccl, connectWorld } from '../src/index.ts';

const problems: string[] = [];
const check = (what: string, got: ArrayLike<number>, want: readonly number[]): void => {
  if (String([...Array.from(got)]) !== String(want))
    problems.push(`${what}: ${String(Array.from(got))}, not ${String(want)}`);
};

const [ncclPath, cudaPath] = process.argv.slice(2);
const joined = await connectWorld({ timeoutSeconds: 60 });
const world = ncclPath ? await connectNccl(joined, { ncclPath, cudaPath, timeoutSeconds: 60 }) : joined;
const { rank, size } = world;
const ranks = Array.from({ length: size }, (_, worker) => worker);
const sum = ranks.reduce((total, worker) => total + worker, 0);

for (const make of [Float32Array, Float64Array, Int32Array]) {
  const values = make.from([rank, 1, -rank]);
  await world.allReduce(values);
  check('sum', values, [sum, size, -sum + 0]);
}
const largest = Float64Array.of(rank, -rank);
await world.allReduce(largest, 'max');
check('max', largest, [size - 1, -0 + 0]);
const smallest = Int32Array.of(rank, -rank);
await world.allReduce(smallest, 'min');
check('min', smallest, [0, -(size - 1) + 0]);

const bytes = Uint8Array.of(rank, 200);
await world.broadcast(bytes, size - 1);
check('broadcast', bytes, [size - 1, 200]);

const gathered = new Float32Array(2 * size);
await world.allGather(Float32Array.of(rank, rank / 2), gathered);
check(
  'all-gather',
  gathered,
  ranks.flatMap((worker) => [worker, worker / 2]),
);

const exchanged = new Int32Array(size);
await world.allToAll(
  Int32Array.from(ranks, (worker) => 10 * rank + worker),
  exchanged,
);
check(
  'all-to-all',
  exchanged,
  ranks.map((worker) => 10 * worker + rank),
);

// Started at once, they run in this order; timers go on meanwhile.
const large = new Float32Array(1_000_000).fill(1);
const started = [world.allReduce(large), world.allReduce(large), world.barrier()];
await Promise.all(started);
check('two sums', [large[0], large[999_999]], [size ** 2, size ** 2]);

try {
  await world.broadcast(bytes, size);
  problems.push('a root that is no worker was accepted');
} catch (error) {
  if ((error as { code?: string }).code !== 'BAD_ARGUMENT') problems.push(String(error));
}
await world.close();
console.log(
  problems.length === 0 ? `worker ${rank} of ${size}: all right (${world.library})` : problems.join('\n'),
);
process.exitCode = problems.length;
