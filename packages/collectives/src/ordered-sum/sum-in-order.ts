import { assertArgument } from '@qdylora/contract';
import type { Communicator } from '../communicator.ts';
import { blocksOf, termsOfWorker, type TermRange } from './blocks.ts';

/**
 * Adds numbered terms that the workers hold. Every worker gets the sum, with the same bits for any number of
 * workers.
 *
 * Floating-point sums depend on their order. Here the order depends on the number of terms alone: a binary
 * tree over the terms, as in `blocksOf`, and the roots of its blocks from the last to the first. Each worker
 * has added the terms of its own blocks. The workers exchange shards of the blocks (all-to-all), each adds
 * one shard, and all get the sum (all-gather). A worker that has one block sends about twice the length of
 * the array, however many workers there are. Each has one block where all have the same number of terms, a
 * power of two.
 *
 * @returns the sum: [length]
 * @throws QdyloraError BAD_ARGUMENT for a count below 1, another number of sums or one of another length
 * @example
 * const sum = await sumInOrder(world, { count: 8, sums: [mine], length: mine.length });
 */
export async function sumInOrder(
  world: Pick<Communicator, 'rank' | 'size' | 'allToAll' | 'allGather'>,
  { count, sums, length }: OrderedTerms,
): Promise<Float32Array> {
  assertSums(world, { count, sums, length });
  if (world.size === 1) {
    const byStart = new Map(blocksOf({ from: 0, to: count }).map(({ from }, i) => [from, sums[i]]));
    return sumOfTree(count, ({ from }) => byStart.get(from) ?? null);
  }
  const shard = Math.ceil(length / world.size);
  const received = await exchangeBlocks(world, { count, sums }, shard);
  const mine = sumOfTree(count, ({ from, to }) => received.get(`${from}-${to}`) ?? null);
  const all = new Float32Array(shard * world.size);
  await world.allGather(mine, all);
  return all.subarray(0, length);
}

/** The part of one worker in an ordered sum. */
export interface OrderedTerms {
  /** Terms of all workers together, at least 1. */
  readonly count: number;
  /** The sums of this worker's blocks, in the order of `blocksOf(termsOfWorker(count, …))`: each [length] */
  readonly sums: readonly Float32Array[];
  /** Numbers in the result; a worker without blocks knows it from here only. */
  readonly length: number;
}

function assertSums(
  { rank, size }: Pick<Communicator, 'rank' | 'size'>,
  { count, sums, length }: OrderedTerms,
): void {
  assertArgument(
    Number.isInteger(count) && count >= 1,
    'sum-in-order',
    `The count must be a whole number ≥ 1 (got ${count})`,
  );
  const blocks = blocksOf(termsOfWorker(count, rank, size)).length;
  assertArgument(
    sums.length === blocks && sums.every((sum) => sum.length === length),
    'sum-in-order',
    `The sums must be ${blocks} arrays of ${length} numbers, one for each block of this worker ` +
      `(got arrays of ${sums.map((sum) => sum.length).join(', ') || 'none'})`,
  );
}

/** This worker's shard of every block: [shard], by `from-to`. */
async function exchangeBlocks(
  world: Pick<Communicator, 'size' | 'allToAll'>,
  { count, sums }: Pick<OrderedTerms, 'count' | 'sums'>,
  shard: number,
): Promise<ReadonlyMap<string, Float32Array>> {
  const { size } = world;
  const blocks = Array.from({ length: size }, (_, worker) => blocksOf(termsOfWorker(count, worker, size)));
  const rounds = Math.max(...blocks.map((own) => own.length));
  const shards = new Map<string, Float32Array>();
  for (let round = 0; round < rounds; round++) {
    const parts = padded(sums[round], shard * size);
    const received = new Float32Array(shard * size);
    await world.allToAll(parts, received);
    blocks.forEach((own, worker) => {
      const block = own[round];
      if (block)
        shards.set(`${block.from}-${block.to}`, received.subarray(worker * shard, (worker + 1) * shard));
    });
  }
  return shards;
}

/** The array itself where it needs no zeros at its end; undefined: zeros. */
function padded(values: Float32Array | undefined, length: number): Float32Array {
  if (values?.length === length) return values;
  const parts = new Float32Array(length);
  if (values) parts.set(values);
  return parts;
}

/** The sum of terms [0, count), from the blocks that are known: null where a block is not. */
function sumOfTree(count: number, known: (block: TermRange) => Float32Array | null): Float32Array {
  const roots = blocksOf({ from: 0, to: count });
  const sum = sumOfBlock(roots.at(-1)!, known).slice();
  for (const root of roots.slice(0, -1).reverse()) addTo(sum, sumOfBlock(root, known));
  return sum;
}

function sumOfBlock(block: TermRange, known: (block: TermRange) => Float32Array | null): Float32Array {
  const sum = known(block);
  if (sum) return sum;
  const middle = (block.from + block.to) / 2;
  const total = sumOfBlock({ from: block.from, to: middle }, known).slice();
  addTo(total, sumOfBlock({ from: middle, to: block.to }, known));
  return total;
}

function addTo(sum: Float32Array, terms: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] += terms[i];
}
