import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import type { EventLine } from '../run-folder/event-line.ts';
import { rateReport, type RateReportParts } from './rate-report.ts';

type StepLine = Extract<EventLine, { type: 'step' }>;

const stepsOf = (lines: readonly Partial<StepLine>[]): EventLine[] =>
  lines.map((line, i) => ({ type: 'step', step: i + 1, loss: 1, ...line }) as StepLine);

const reportOf = (changes: Partial<RateReportParts> = {}, tune?: object | string) => {
  const tuneFolder = temporaryFolder();
  if (tune !== undefined)
    writeFileSync(join(tuneFolder, 'tune.json'), typeof tune === 'string' ? tune : JSON.stringify(tune));
  return rateReport({
    config: { learningRate: 2e-3, maxGradNorm: 1, loraAlpha: 8 },
    defaultRate: 5e-4,
    modelName: 'smol',
    events: [],
    tuneFolder,
    ...changes,
  });
};

describe('the distance of a learning rate from the edge', () => {
  it('is told against the default of the model', () => {
    expect(reportOf()).toEqual({
      learningRate: 2e-3,
      defaultRate: 5e-4,
      ratio: 4,
      clippedShare: null,
      largestRise: null,
      tuned: null,
    });
  });

  it('counts the updates whose gradient norm was above max_grad_norm, and no skipped step', () => {
    const events = stepsOf([
      { grad_norm: 0.5 },
      { grad_norm: 1 },
      { grad_norm: 1.01 },
      { grad_norm: 7 },
      { loss: null, grad_norm: 9 },
      { grad_norm: null },
    ]);
    expect(reportOf({ events }).clippedShare).toBe(0.5);
    const config = { learningRate: 2e-3, maxGradNorm: 0, loraAlpha: 8 } as const;
    expect(reportOf({ events, config }).clippedShare).toBeNull();
  });

  it('finds the largest rise of the smoothed loss above its lowest value before', () => {
    const events = stepsOf([3, 2, 2.5, null, 1, 1.3, 1.2].map((smoothed_loss) => ({ smoothed_loss })));
    expect(reportOf({ events }).largestRise).toEqual({ share: expect.closeTo(0.3, 12), step: 6 });
    const falling = stepsOf([3, 2, 1].map((smoothed_loss) => ({ smoothed_loss })));
    expect(reportOf({ events: falling }).largestRise).toEqual({ share: 0, step: 1 });
  });

  it('takes the edge from tune.json, at the alpha of the run', () => {
    const candidate = (learning_rate: number, has_diverged: boolean, lora_alpha = 8) => ({
      learning_rate,
      lora_alpha,
      steps: 12,
      has_diverged,
    });
    const tune = {
      method: 'successive_halving',
      model: 'smol',
      range: [],
      divergence: null,
      candidates: [
        candidate(1e-3, false),
        candidate(2e-3, true),
        candidate(4e-3, false),
        candidate(8e-3, false, 4),
        candidate(1.6e-2, true),
        candidate(3.2e-2, true),
      ],
    };
    const edge = { method: 'successive_halving', highestStable: 4e-3, steps: 12, lowestDiverged: 1.6e-2 };
    expect(reportOf({}, tune).tuned).toEqual(edge);
    const stable = { ...tune, candidates: tune.candidates.slice(0, 1) };
    expect(reportOf({}, stable).tuned).toMatchObject({ highestStable: 1e-3, lowestDiverged: null });
    const range = [{ learning_rate: 1e-3 }, { learning_rate: 5e-3 }];
    const ranged = { ...tune, method: 'range_test', candidates: [], range, divergence: 6e-3 };
    expect(reportOf({}, ranged).tuned).toEqual({
      method: 'range_test',
      highestStable: 5e-3,
      steps: null,
      lowestDiverged: 6e-3,
    });
    expect(reportOf({}, { ...ranged, previous_alpha: 8 }).tuned).not.toBeNull();
    expect(reportOf({}, { ...ranged, previous_alpha: 16 }).tuned).toBeNull();
  });

  it.each([
    ['another model', { method: 'range_test', model: 'other', candidates: [], range: [], divergence: 1 }],
    ['no JSON', '{'],
    ['something else', { method: 'guess' }],
  ])('ignores a tune.json of %s', (_, tune) => {
    expect(reportOf({}, tune).tuned).toBeNull();
  });
});
