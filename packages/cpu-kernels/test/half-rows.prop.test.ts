import {
  hostData,
  bfloat16Array,
  createHostBackend,
  float32FromBfloat16,
  runOp,
  viewOf,
  type Arrays,
  type Backend,
  type Op,
} from '@qdylora/contract';
import { linearInputGradient } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, describeBitDifference, normalView } from '@qdylora/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { everyLevel } from './every-level.ts';
import { HALF_CALLS, halfNumbers, type HalfCall, type HalfSizes } from './half-calls.ts';

// Arrays in an op's `halves` may be float32 or bf16. The same numbers in bf16 give the same bits, rounded
// once. The conformance cases compare float32 with the reference, so together they cover bf16.
const levels = await everyLevel([1, 2, 3], { batchInvariant: true });

const arbitrarySizes: fc.Arbitrary<HalfSizes> = fc
  .record({
    tokens: fc.oneof(arbitrarySize(40), arbitrarySize(150)),
    rows: arbitrarySize(150),
    cols: fc.oneof(
      fc.constantFrom(64, 128, 704),
      arbitrarySize(100).map((n) => n + 1),
    ),
    r: arbitrarySize(40).map((n) => n + 1),
    seed: arbitrarySeed,
    computeDtype: fc.constantFrom<'f32' | 'bf16'>('f32', 'bf16'),
    flag: fc.boolean(),
  })
  .map((sizes) => ({ ...sizes, tokens: sizes.tokens + 1, rows: sizes.rows + 1 }));

/** The arrays that may be bf16, as bf16. */
const halved = (arrays: Arrays, { halves = [] }: Op): Arrays =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, view]) => [
      name,
      view && halves.includes(name)
        ? viewOf('bf16', view.shape, bfloat16Array(hostData(view) as Float32Array))
        : view,
    ]),
  );
/** Copies: ops add to the outputs that they are given. */
const fresh = (arrays: Arrays): Arrays =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, view]) => [
      name,
      view && viewOf(view.dtype, view.shape, hostData(view).slice() as never),
    ]),
  );

function assertSameBits(
  label: string,
  backend: Backend,
  { op, inputs, attributes, suppliedOutputs = {}, halfAttributes = {} }: HalfCall,
): void {
  backend.memory.scoped(() => {
    const want = halved(runOp(backend, op, inputs, attributes, fresh(suppliedOutputs)), op);
    const got = runOp(
      backend,
      op,
      halved(inputs, op),
      { ...attributes, ...halfAttributes },
      fresh(halved(suppliedOutputs, op)),
    );
    for (const name of Object.keys(want)) {
      if (!want[name]) continue;
      expect(got[name]!.dtype, `${label}: ${name}`).toBe(want[name].dtype);
      const callText = `${op.name} at ${label} ${JSON.stringify(attributes)}`;
      const problem = describeBitDifference(callText, { name, got: got[name]!, want: want[name] });
      if (problem) throw new Error(problem);
    }
  });
}

describe.each(Object.entries(HALF_CALLS))('%s', (_, make) => {
  test('gives the same bits for numbers in bf16 as in float32, rounded once', () => {
    fc.assert(
      fc.property(arbitrarySizes, (sizes) => {
        const call = make(sizes);
        assertSameBits('the reference', createHostBackend(), call);
        for (const { label, backends } of levels)
          for (const backend of backends) assertSameBits(label, backend, call);
      }),
      { numRuns: 12 },
    );
  });

  test('does so without tokens and without columns, for arrays to which JavaScript gives no address', () => {
    for (const [tokens, rows] of [
      [0, 6],
      [3, 0],
      [0, 0],
    ] as const) {
      for (const flag of [false, true]) {
        const call = make({ tokens, rows, cols: 64, r: 2, seed: 1, computeDtype: 'bf16', flag });
        for (const { label, backends } of levels)
          for (const backend of backends) assertSameBits(label, backend, call);
      }
    }
  });
});

test.each([
  [1100, 150],
  [1700, 70],
])('several row blocks, depth blocks and groups do too (%i rows)', (tokens, rows) => {
  for (const name of [
    'an adapted layer',
    'the backward of an adapted layer',
    'a group',
    'the backward of a group',
  ]) {
    const call = HALF_CALLS[name]({
      tokens,
      rows,
      cols: 704,
      r: 8,
      seed: 1,
      computeDtype: 'bf16',
      flag: false,
    });
    for (const { label, backends } of levels)
      for (const backend of backends) assertSameBits(label, backend, call);
  }
});

test('a gradient in bf16 that is added to is rounded once', () => {
  const [tokens, rows, cols] = [70, 100, 192];
  const dy = halfNumbers(1, 'dy', [tokens, rows]);
  const dx = halfNumbers(1, 'dx', [tokens, cols]);
  const weight = normalView(1, 'w', [rows, cols]);
  const attributes = { computeDtype: 'f32' as const, accumulate: true };
  for (const { backends } of levels) {
    for (const backend of backends) {
      const want = hostData(
        runOp(backend, linearInputGradient, { dy, weight }, attributes, fresh({ dx })).dx,
      );
      const got = runOp(
        backend,
        linearInputGradient,
        halved({ dy, weight }, linearInputGradient as never) as never,
        { ...attributes, outDtype: 'bf16' },
        fresh(halved({ dx }, linearInputGradient as never)) as never,
      ).dx;
      float32FromBfloat16(hostData(got) as Uint16Array)
        .subarray(0, tokens * cols)
        .forEach((value, i) => {
          expect(Math.abs(value - want[i])).toBeLessThanOrEqual(2 ** -8 * Math.abs(want[i]) + 1e-4);
        });
    }
  }
});
