import { describe, expect, it } from 'vitest';
import { assertSameRun, freshProgress, parseRunState, runStateJson, type RunState } from './run-state.ts';

const state: RunState = {
  progress: {
    ...freshProgress(),
    step: 12,
    epoch: 1,
    tokens: 345,
    finalLoss: 1 / 3,
    skippedSteps: 2,
    badInARow: 1,
    evaluatedAt: 10,
    best: { step: 10, score: 0.1 + 0.2 },
    earlyStopping: { on: 'aurac', best: 1 / 7, bestStep: 5, waited: 2 },
    events: 17,
  },
  counts: { rows: [1, 1, 3], rest: 0 },
  identity: { seed: 7, nested: { a: [1, 2] } },
  computedOn: { backend: 'cpu', level: 'avx2' },
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

  it(
    'comes back without early stopping from a state of before it was there, and with a best value that ' +
      'was no number',
    () => {
      const { early_stopping: _, ...older } = throughJson(runStateJson(state));
      const nothing = {
        ...state,
        progress: { ...state.progress, earlyStopping: { on: 4, best: NaN, bestStep: 5, waited: 2 } },
      };
      expect(parseRunState('at', older).progress.earlyStopping).toBe(null);
      expect(parseRunState('at', throughJson(runStateJson(nothing)))).toEqual(nothing);
    },
  );

  it(
    'comes back without a word on its kernels from a state of before they were told, and with kernels of ' +
      'one level only',
    () => {
      const { computed_on: _, ...older } = throughJson(runStateJson(state));
      const host = { ...state, computedOn: { backend: 'host', level: null } };
      expect(parseRunState('at', older)).toEqual({ ...state, computedOn: null });
      expect(parseRunState('at', throughJson(runStateJson(host)))).toEqual(host);
    },
  );

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
    ['early_stopping', 3],
    ['early_stopping', { on: 'loss', best: 1, best_step: 1, waited: 0 }],
    ['early_stopping', { on: 4, best: 1, best_step: 1, waited: -1 }],
    ['optimizer_steps', []],
    ['optimizer_steps', { rows: [-1], rest: 0 }],
    ['optimizer_steps', { rows: {}, rest: 0 }],
    ['computed_on', 'cpu'],
    ['computed_on', { backend: 'cpu' }],
    ['config', null],
  ])('is refused with %s %j, by name', (field, value) => {
    expect(() => parseRunState('the/path', { ...throughJson(runStateJson(state)), [field]: value })).toThrow(
      new RegExp(`the/path: expected .* ${field.split('_')[0]}`),
    );
  });
  it.each([null, 3, [], 'text'])('is refused as a whole where it is %j', (value) => {
    expect(() => parseRunState('at', value)).toThrow(/expected an object for the state/);
  });
});

describe('the values of two parts of a run', () => {
  const first = { seed: 7, rows_hash: 'a'.repeat(64), packing: null };

  it('are the same where a later version adds a key that says nothing, or a hash', () => {
    for (const own of [
      first,
      { ...first, more: null },
      { seed: 7, rows_hash: 'a'.repeat(64) },
      { seed: 7, packing: null },
      { ...first, other_hash: 'b' },
    ])
      expect(() => {
        assertSameRun('at', first, own);
      }).not.toThrow();
  });

  it('are refused one by one where they differ, hashes in short', () => {
    expect(() => {
      assertSameRun('at', first, { seed: 8, rows_hash: `${'a'.repeat(63)}b`, more: 1 });
    }).toThrow(
      'more 1 instead of nothing, rows_hash "aaaaaaaaaaaa…" instead of "aaaaaaaaaaaa…", seed 8 instead of 7.',
    );
  });
});
