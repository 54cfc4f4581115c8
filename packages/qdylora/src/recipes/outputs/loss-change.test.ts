import { expect, it } from 'vitest';
import type { EventLine } from '../run-folder/event-line.ts';
import { lossChange } from './loss-change.ts';

const evaluated = (step: number, losses: Readonly<Record<number, number>>): EventLine => ({
  type: 'eval',
  step,
  by_rank: Object.entries(losses).map(([rank, loss]) => ({ rank: Number(rank), loss })),
  best_rank: null,
  aurac: null,
  score: null,
  is_best: false,
});

const judged = (losses: Readonly<Record<number, number>>): { rank: number; loss: number }[] =>
  Object.entries(losses).map(([rank, loss]) => ({ rank: Number(rank), loss }));

it('tells the change at the ranks that were evaluated before, and where the better weights are', () => {
  const events = [evaluated(0, { 2: 1.5 }), evaluated(3, { 2: 1.4 })];
  const text = 'Held-out loss before the first step → after 6 steps: 1.500 → ';
  expect(lossChange(events, judged({ 1: 2, 2: 1.25 }), 6)).toBe(`${text}1.250 at rank 2.`);
  expect(lossChange(events, judged({ 2: 1.75 }), 6)).toBe(
    `${text}1.750 at rank 2. It rose: adapter-best has the weights of the best evaluation.`,
  );
});

it('says nothing of a run that was not evaluated before its first step', () => {
  expect(lossChange([evaluated(3, { 2: 1.4 })], judged({ 2: 1.25 }), 6)).toBeNull();
  expect(lossChange([evaluated(0, { 2: 1.5 })], [], 6)).toBeNull();
});
