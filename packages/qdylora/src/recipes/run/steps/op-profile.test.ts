import { hostData, f32View, i32View, type OpCall } from '@qdylora/contract';
import { add, causalAttention } from '@qdylora/tensor';
import { describe, expect, it } from 'vitest';
import { openProfile } from './op-profile.ts';

const call: OpCall = {
  op: add as never,
  inputs: { a: f32View([2, 3]), b: f32View([2, 3]) },
  outputs: { y: f32View([2, 3]) },
  attributes: {},
};

describe('a profile', () => {
  it('counts the ops of steps, not those of loading or of judging between two steps', () => {
    const { measure, beginStep, endStep, summary, trace } = openProfile();
    let runs = 0;
    const ask = (times: number): void => {
      for (let i = 0; i < times; i++)
        measure(call, () => {
          runs++;
        });
    };
    ask(5);
    for (const times of [2, 3]) {
      beginStep();
      ask(times);
      endStep(10);
      ask(7);
    }
    const { rows, steps, stepSeconds, outside } = summary(null);
    expect([runs, steps, stepSeconds, rows.length]).toEqual([24, 2, 20, 1]);
    expect(rows[0]).toMatchObject({ op: 'add', shapes: '[2, 3] [2, 3]', calls: 5, gflops: null });
    expect(rows[0].share + outside).toBeCloseTo(1, 12);
    expect((JSON.parse(trace()) as { traceEvents: unknown[] }).traceEvents).toHaveLength(5);
  });

  it('counts the operations of a call by the content of its arrays while it runs', () => {
    const { measure, beginStep, endStep, summary } = openProfile();
    const segments = i32View([2], Int32Array.of(0, 4));
    const rows = f32View([4, 2]);
    const attributes = {
      heads: 1,
      kvHeads: 1,
      headDim: 2,
      scale: 1,
      softCap: 0,
      window: 0,
      computeDtype: 'f32',
    };
    beginStep();
    measure(
      {
        op: causalAttention as never,
        inputs: { q: rows, k: rows, v: rows, querySegments: segments, keySegments: segments },
        outputs: { y: rows },
        attributes,
      },
      () => {},
    );
    hostData(segments).set([0, 1_000_000]);
    endStep(1);
    const [row] = summary(null).rows;
    expect(row!.gflops! * row!.seconds * 1e9).toBeCloseTo(4 * 2 * (1 + 2 + 3 + 4), 6);
  });
});
