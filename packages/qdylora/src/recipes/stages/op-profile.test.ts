import { f32View, type OpCall } from '@qdylora/contract';
import { add } from '@qdylora/tensor';
import { describe, expect, it } from 'vitest';
import { openProfile } from './op-profile.ts';

const call: OpCall = { op: add as never, inputs: { a: f32View([2, 3]), b: f32View([2, 3]) }, outputs: { y: f32View([2, 3]) }, attributes: {} };

describe('a profile', () => {
  it('counts the ops of steps and no others: not those of loading, not those of judging between two steps', () => {
    const { aroundCall, beginStep, endStep, summary, trace } = openProfile();
    let runs = 0;
    const ask = (times: number): void => { for (let i = 0; i < times; i++) aroundCall(call, () => { runs++; }); };
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
    expect(rows[0]!.share + outside).toBeCloseTo(1, 12);
    expect((JSON.parse(trace()) as { traceEvents: unknown[] }).traceEvents).toHaveLength(5);
  });
});
