import { describe, expect, it } from 'vitest';
import { assertSameRun } from './assert-same-run.ts';
import { freshProgress } from '../run/run-progress.ts';
import { parseRunState, runStateJson, type RunState } from './run-state.ts';

const state: RunState = {
  progress: {
    ...freshProgress(),
    step: 12,
    epoch: 1,
    tokens: 345,
    totalSteps: 40,
    finalLoss: 1 / 3,
    lossAverage: { value: 2 / 3, weight: 4.5 },
    skippedSteps: 2,
    badInARow: 1,
    evaluatedAt: 10,
    best: { step: 10, score: 0.1 + 0.2 },
    lowestScore: 0.1 + 0.2,
    measured: 'rows 1 8',
    earlyStopping: { on: 'aurac', best: 1 / 7, bestStep: 5, waited: 2 },
    lossScale: { scale: 4096, goodSteps: 7 },
    events: 17,
  },
  counts: { rows: [1, 1, 3], rest: 0 },
  identity: { seed: 7, nested: { a: [1, 2] } },
  computedOn: { backend: 'cpu', level: 'avx2', sums: { method: 'int8', workers: 3 } },
};
const throughJson = (value: unknown): Record<string, unknown> =>
  JSON.parse(JSON.stringify(value)) as Record<string, unknown>;

describe('the state of a run as JSON', () => {
  it('comes back the same, every double to the last bit', () => {
    expect(parseRunState('at', throughJson(runStateJson(state)))).toEqual(state);
  });
  it('comes back the same where there was no loss yet and no best', () => {
    const fresh = { ...state, progress: freshProgress() };
    expect(parseRunState('at', throughJson(runStateJson(fresh)))).toEqual(fresh);
  });

  it.each([null, { step: 10, score: 3 }])(
    'comes back with a lowest score whose adapter could not be written, best %j',
    (best) => {
      const unwritten = { ...state, progress: { ...state.progress, best, lowestScore: 2.5 } };
      expect(parseRunState('at', throughJson(runStateJson(unwritten)))).toEqual(unwritten);
    },
  );

  it('of an older version comes back with null for what it did not have', () => {
    const {
      early_stopping: _earlyStopping,
      loss_scale: _lossScale,
      computed_on: _computedOn,
      total_steps: _totalSteps,
      loss_average: _lossAverage,
      measured: _measured,
      ...older
    } = throughJson(runStateJson(state));
    expect(parseRunState('at', older)).toEqual({
      ...state,
      progress: {
        ...state.progress,
        earlyStopping: null,
        totalSteps: null,
        lossAverage: null,
        measured: null,
        lossScale: null,
      },
      computedOn: null,
    });
  });

  it('comes back without the order of sums where an older version did not name it', () => {
    const computedOn = { backend: 'cpu', level: 'avx2', sums: null };
    const older = { ...throughJson(runStateJson(state)), computed_on: { backend: 'cpu', level: 'avx2' } };
    expect(parseRunState('at', older)).toEqual({ ...state, computedOn });
  });

  it('comes back with a best value that was no number, and with kernels of one level only', () => {
    const earlyStopping = { on: 4, best: NaN, bestStep: 5, waited: 2 };
    const special: RunState = {
      ...state,
      progress: { ...state.progress, earlyStopping },
      computedOn: { backend: 'host', level: null, sums: { method: 'tree', workers: null } },
    };
    expect(parseRunState('at', throughJson(runStateJson(special)))).toEqual(special);
  });

  it.each([
    ['format', 'else'],
    ['version', 2],
    ['step', -1],
    ['step', 1.5],
    ['step', '12'],
    ['tokens', undefined],
    ['final_loss', 'x'],
    ['best', 3],
    ['best', { step: 1 }],
    ['lowest_score', 'x'],
    ['early_stopping', 3],
    ['early_stopping', { on: 'loss', best: 1, best_step: 1, waited: 0 }],
    ['early_stopping', { on: 4, best: 1, best_step: 1, waited: -1 }],
    ['optimizer_steps', []],
    ['optimizer_steps', { rows: [-1], rest: 0 }],
    ['optimizer_steps', { rows: {}, rest: 0 }],
    ['total_steps', -1],
    ['loss_average', 3],
    ['loss_average', { value: 1 }],
    ['computed_on', 'cpu'],
    ['computed_on', { backend: 'cpu' }],
    ['computed_on', { backend: 'cpu', level: null, sums: 'tree' }],
    ['computed_on', { backend: 'cpu', level: null, sums: { method: 'tree' } }],
    ['computed_on', { backend: 'cpu', level: null, sums: { method: 'tree', workers: -1 } }],
    ['config', null],
  ])('is refused with %s %j, by name', (field, value) => {
    expect(() => parseRunState('the/path', { ...throughJson(runStateJson(state)), [field]: value })).toThrow(
      /the\/path: .* must .* \(got /,
    );
  });
  it.each([null, 3, [], 'text'])('is refused as a whole where it is %j', (value) => {
    expect(() => parseRunState('at', value)).toThrow(/the state must be an object/);
  });
});

describe('the values of two parts of a run', () => {
  const first = { seed: 7, rows_hash: 'a'.repeat(64), packing: null };

  it('are the same where a later version adds a key that says nothing, or a hash', () => {
    for (const identity of [
      first,
      { ...first, more: null },
      { seed: 7, rows_hash: 'a'.repeat(64) },
      { seed: 7, packing: null },
      { ...first, other_hash: 'b' },
    ])
      expect(() => {
        assertSameRun('at', first, identity);
      }).not.toThrow();
  });

  it('are refused one by one where they differ, hashes in short', () => {
    expect(() => {
      assertSameRun('at', first, { seed: 8, rows_hash: `${'a'.repeat(63)}b`, more: 1 });
    }).toThrow('more 1 (was not set), rows_hash "aaaaaaaaaaaa…" (was "aaaaaaaaaaaa…"), seed 8 (was 7).');
  });
});
