import { collate } from '@qdylora/data';
import { rankSampler, type RankSchedule } from '@qdylora/lora-dynamic';
import { describe, expect, it } from 'vitest';
import { tinyAdapted, tinyExamples, tinyModel } from '../test/tiny-model.ts';
import { passesOfStep } from './index.ts';

const adapted = tinyAdapted(), batchOf = (examples: number) => collate(tinyExamples(examples));
const sampler = (schedule: RankSchedule) => rankSampler(adapted.ranks, { seed: 1, schedule });
/** A step whose drawn rank is `rank`. */
const stepOf = (rank: number) => Array.from({ length: 100 }, (_, step) => step).find((step) => sampler('one').rankAt(step) === rank)!;
const shape = (schedule: RankSchedule, step: number, sizes: readonly number[]) =>
  passesOfStep(step, sizes.map(batchOf), adapted, sampler(schedule)).passes.map(({ view, batch }) => [view.active!.rank, batch.segments.length - 1]);

describe('passes of a step', () => {
  it('one: every micro batch at the drawn rank', () => { expect(shape('one', stepOf(2), [3, 3, 1])).toEqual([[2, 3], [2, 3], [2, 1]]); });
  it('sandwich: micro batches take turns between the largest and the drawn rank', () => { expect(shape('sandwich', stepOf(1), [2, 2, 2])).toEqual([[4, 2], [1, 2], [4, 2]]); });
  it('sandwich with one micro batch: its halves', () => { expect(shape('sandwich', stepOf(1), [5])).toEqual([[4, 2], [1, 3]]); });
  it('sandwich with one example: both ranks on it', () => { expect(shape('sandwich', stepOf(1), [1])).toEqual([[4, 1], [1, 1]]); });
  it('sandwich with one example and the largest rank drawn: once', () => { expect(shape('sandwich', stepOf(4), [1])).toEqual([[4, 1]]); });
  it('all: every micro batch at every rank', () => { expect(shape('all', 0, [2, 1])).toEqual([[1, 2], [2, 2], [4, 2], [1, 1], [2, 1], [4, 1]]); });
  it('stratified with one micro batch: two halves', () => { expect(shape('stratified', 0, [4]).map(([, size]) => size)).toEqual([2, 2]); });

  it('without a sampler trains the largest rank, as ordinary LoRA', () => {
    const { passes, rank, rows } = passesOfStep(7, [batchOf(2)], adapted, null);
    expect([passes.map(({ view }) => view.active!.rank), rank, rows]).toEqual([[4], 4, [[0, 4]]]);
  });

  it('of a bare model have no rank', () => {
    const { passes, rank, rows } = passesOfStep(0, [batchOf(2)], tinyModel(), null);
    expect([passes[0]!.view.active, rank, rows]).toEqual([null, null, null]);
  });

  it('names the rows of all ranks that the step saw under newest_block', () => {
    const frozen = tinyAdapted({ updateRule: 'newest_block' });
    expect(passesOfStep(stepOf(1), [batchOf(2)], frozen, sampler('sandwich')).rows).toEqual([[0, 1], [2, 4]]);
  });
});
