/** A worker of reduction.bench.ts: times sums of gradients over all workers; worker 0 prints the rows. */
import { blocksOf, connectWorld, sumCompressed, sumInOrder, termsOfWorker } from '@qdylora/collectives';
import { median } from './median.mjs';

/** Elements of A and B a rank: SmolLM2-135M, 30 layers, adapters on all linear layers. */
const ELEMENTS_A_RANK = 305_280;
const RANKS = [1, 8, 64];
/** Micro batches of a step. */
const TERMS = 8;
const REPEATS = 9;

const world = await connectWorld();
const { rank, size } = world;

/** Seconds of the slowest worker. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  await world.barrier();
  const start = performance.now();
  await work();
  const seconds = Float64Array.of((performance.now() - start) / 1000);
  await world.allReduce(seconds, 'max');
  return seconds[0];
}

for (const adapterRank of RANKS) {
  const length = ELEMENTS_A_RANK * adapterRank;
  const gradient = Float32Array.from({ length }, (_, i) => Math.sin(i + rank));
  const residual = new Float32Array(length);
  const blocks = blocksOf(termsOfWorker(TERMS, rank, size));
  const values = gradient.slice();
  const ways = {
    'exact order': () => sumInOrder(world, { count: TERMS, sums: blocks.map(() => gradient), length }),
    fast_reduce: () => world.allReduce(values),
    bf16: () => sumCompressed(world, { values, residual, format: 'bf16' }),
    int8: () => sumCompressed(world, { values, residual, format: 'int8' }),
  };
  const times = Object.keys(ways).map((): number[] => []);
  // in turns, so that other work on the machine meets all of them
  for (let repeat = 0; repeat < REPEATS; repeat++)
    for (const [i, way] of Object.values(ways).entries()) {
      values.set(gradient);
      times[i].push(await timed(way));
    }
  if (rank !== 0) continue;
  Object.keys(ways).forEach((name, i) => {
    const ms = (seconds: number): number => Number((1000 * seconds).toPrecision(3));
    const row = {
      library: world.library.split(' package')[0],
      workers: size,
      rank: adapterRank,
      mb: Number(((4 * length) / 1e6).toPrecision(3)),
      how: name,
      median_ms: ms(median(times[i])),
      best_ms: ms(Math.min(...times[i])),
      'of exact': Number((median(times[i]) / median(times[0])).toPrecision(2)),
    };
    console.log(JSON.stringify(row));
  });
}
await world.close();
