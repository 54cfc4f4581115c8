import { describe, expect, it } from 'vitest';
import { exampleRanks, type ExampleOptions } from '../../../test/example-report.ts';
import type { EventLine } from '../run-folder/event-line.ts';
import { finishOffer } from './finish-offer.ts';

const events = Array.from(
  { length: 150 },
  (_, i) => ({ type: 'step', step: i + 1, step_seconds: i % 2 === 0 ? 3 : 5 }) as EventLine,
);

const offerOf = (options: ExampleOptions = {}) =>
  finishOffer('runs/smol', {
    judgement: { ranks: exampleRanks(options), rankLosses: [], whole: null },
    events,
    runSteps: 150,
  });

describe('the offer of a finish', () => {
  it('is a tenth of the steps at the smallest rank that is not worse, with its time', () => {
    expect(offerOf()).toEqual({
      rank: 32,
      share: 0.1,
      steps: 15,
      seconds: 60,
      command: 'npx qdylora finish runs/smol --rank 32 --output-dir runs/smol-r32-finished',
    });
  });

  it('is a fifth of the steps at rank 1', () => {
    expect(offerOf({ losses: { 1: 0.5, 64: 0.5 } })).toMatchObject({ rank: 1, share: 0.2, steps: 30 });
  });

  it('is made for the largest rank too, which had a half of every step', () => {
    expect(offerOf({ losses: { 1: 1, 64: 0.5 } })).toMatchObject({ rank: 64 });
  });

  it.each<[string, ExampleOptions]>([
    ['one rank', { losses: { 8: 0.8 } }],
    ['a rank that is not better than the base', { base: 0.3 }],
    ['one example, which cannot tell ranks apart', { examples: 1 }],
    ['a run whose base was not evaluated', { base: null }],
  ])('is not made for %s', (_, options) => {
    expect(offerOf(options)).toBeNull();
  });

  it('is not made where it would take one or two steps, of which the first has learning rate 0', () => {
    const judgement = { ranks: exampleRanks(), rankLosses: [], whole: null };
    expect(finishOffer('runs/smol', { judgement, events, runSteps: 20 })).toBeNull();
    expect(finishOffer('runs/smol', { judgement, events, runSteps: 21 })).toMatchObject({ steps: 3 });
  });

  it('is not made where nothing was held out', () => {
    expect(finishOffer('runs/smol', { judgement: null, events, runSteps: 150 })).toBeNull();
  });
});
