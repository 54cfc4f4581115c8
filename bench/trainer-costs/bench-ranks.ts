import type { TokenBatch } from '@qdylora/data';
import {
  RANK_DISTRIBUTIONS,
  rankProbabilities,
  rankSampler,
  type RankSampler,
  type RankSamplerOptions,
  type RankSet,
} from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { COST_OPTIONS } from './cost-options.ts';
import { adamw, batchOf, costRunner, RANKS } from './cost-runner.ts';
import { medianRatio, reportRatio, timed } from './report-ratio.ts';

const QLORA = 'QLoRA at r = 64';

/** A way to draw ranks; null is the largest rank in every step. */
type Mode = readonly [name: string, microBatches: 1 | 2, sampler: RankSampler | null];

const distillation = { weight: 0.5, topK: 64 } as const;

/** Half of the rows at the largest rank, and again at the smallest; the others at the drawn rank. */
const DISTILLED = { schedule: 'sandwich', distribution: 'upper', distillation } as const;

/**
 * The sampler of `qdylora train`: all rows at the largest rank, half of them again at the smallest. The
 * others run again only if a smaller rank is drawn, which happens in a quarter of the steps. A median says
 * nothing of the rarer steps, so each kind is measured by itself.
 */
const defaultSampler = (isLargestDrawn: boolean) =>
  ({
    schedule: 'sandwich',
    distribution: RANKS.map((rank, i) => Number(i > 0 && (rank === RANKS.at(-1)) === isLargestDrawn)),
    distillation: { ...distillation, student: 'both' },
  }) as const;

type SamplerOf = (options: Omit<RankSamplerOptions, 'seed'>) => RankSampler;

/** Every way to draw ranks, or each rank by itself, against QLoRA on the same rows of the same step. */
export async function benchRanks(model: CausalLm): Promise<void> {
  const { adapted, step } = costRunner(model, adamw);
  const samplerOf: SamplerOf = (options) => rankSampler(adapted.ranks, { seed: 3, ...options });
  const { steps, rows, length, eachRank, modes: pattern } = COST_OPTIONS;
  const every = eachRank ? singleRanks(samplerOf) : schedules(samplerOf);
  const modes = every.filter(([name]) => name === QLORA || pattern.test(name));
  const seconds = modes.map((): number[] => []);
  for (let at = -1; at < steps; at++) {
    // the first round makes room
    for (const [i, [, microBatches, sampler]] of modes.entries()) {
      const batches = batchesOf(model, at, microBatches);
      const stepSeconds = await timed(async () => {
        if (!Number.isFinite(await step(at + 1, batches, sampler)))
          throw new Error('The loss is not finite.');
      });
      if (at >= 0) seconds[i].push(stepSeconds);
    }
  }
  console.log(`\nranks: ${rows} × ${length} tokens a step, ${steps} steps in turn; ratio to ${QLORA}`);
  modes.forEach(([name, microBatches], i) => {
    const plain = seconds[microBatches - 1];
    reportRatio(`${microBatches} micro batch${microBatches === 1 ? '' : 'es'}, ${name}`, seconds[i], plain);
  });
  if (!eachRank || pattern.source !== '(?:)') return;
  const ratios = RANKS.map((_, i) => medianRatio(seconds[i + 1], seconds[0]));
  for (const line of meanLines(ratios, adapted.ranks)) console.log(line);
}

/** Of one or two micro batches the same rows. */
const batchesOf = (model: CausalLm, at: number, microBatches: 1 | 2): TokenBatch[] =>
  microBatches === 1
    ? [batchOf(model, at)]
    : [0, 1].map((half) => batchOf(model, 2 * at + half, COST_OPTIONS.rows / 2));

function singleRanks(samplerOf: SamplerOf): Mode[] {
  const alone = (rank: number): RankSampler =>
    samplerOf({ schedule: 'one', distribution: RANKS.map((other) => (other === rank ? 1 : 0)) });
  return [[QLORA, 1, null], ...RANKS.map((rank): Mode => [`rank ${rank} alone`, 1, alone(rank)])];
}

function schedules(samplerOf: SamplerOf): Mode[] {
  const { rows, all } = COST_OPTIONS;
  const lossWeights = RANKS.map((rank) => 1 / rank);
  return [
    [QLORA, 1, null],
    [QLORA, 2, null],
    ['one, uniform', 1, samplerOf({ schedule: 'one' })],
    ['one, geometric', 1, samplerOf({ schedule: 'one', distribution: 'geometric' })],
    ['one, tail_heavy', 1, samplerOf({ schedule: 'one', distribution: 'tail_heavy' })],
    ['each, 2 segments', 1, samplerOf({ schedule: 'each' })],
    ['stratified, 2 segments', 1, samplerOf({ schedule: 'stratified' })],
    [`stratified, ${rows} segments`, 1, samplerOf({ schedule: 'stratified', segments: rows })],
    ['sandwich, 2 segments', 1, samplerOf({ schedule: 'sandwich' })],
    ['sandwich, weights by rank', 1, samplerOf({ schedule: 'sandwich', lossWeights })],
    ['sandwich, uncut: in turns', 1, samplerOf({ schedule: 'sandwich', segments: 1 })],
    ['each', 2, samplerOf({ schedule: 'each' })],
    ['stratified', 2, samplerOf({ schedule: 'stratified' })],
    ['sandwich', 2, samplerOf({ schedule: 'sandwich' })],
    ['sandwich, distilled', 2, samplerOf(DISTILLED)],
    ['sandwich, distilled', 1, samplerOf(DISTILLED)],
    ['sandwich, the default, largest drawn', 2, samplerOf(defaultSampler(true))],
    ['sandwich, the default, smaller drawn', 2, samplerOf(defaultSampler(false))],
    ['sandwich, the default, largest drawn', 1, samplerOf(defaultSampler(true))],
    ['sandwich, the default, smaller drawn', 1, samplerOf(defaultSampler(false))],
    ...(all ? [['all: every rank on every token', 1, samplerOf({ schedule: 'all' })] as const] : []),
  ];
}

/**
 * What the steps of one random rank cost in the mean: the median step of `tail_heavy`, whose every other draw
 * is the largest rank, says nothing of its cheap ones.
 */
function meanLines(ratios: readonly number[], ranks: RankSet): string[] {
  return RANK_DISTRIBUTIONS.map((distribution) => {
    const shares = rankProbabilities(ranks, distribution);
    const meanOf = (values: readonly number[]): number =>
      values.reduce((sum, value, i) => sum + shares[i] * value, 0);
    const [rank, ratio] = [meanOf(RANKS), meanOf(ratios)];
    return `${distribution}: mean rank ${rank.toFixed(1)}, ${ratio.toFixed(3)}× in the mean`;
  });
}
