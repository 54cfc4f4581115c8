import { hostData, rowsOf, runOp, type ArrayView, type Backend, type FloatView } from '@qdylora/contract';
import { adaptedLinear } from '@qdylora/lora-dynamic';
import { matmulNf4 } from '@qdylora/quant';
import { linear } from '@qdylora/tensor';
import { normalBfloat16View, normalView, packedWeight } from '@qdylora/testing';
import { describe, expect, test } from 'vitest';
import { everyLevel } from './every-level.ts';

const levels = await everyLevel([2], { batchInvariant: true });
const ROWS = 83;
const TILED_ROWS = 96;
/** More rows than any kernel for few or for some rows takes. */
const TOKENS = 300;

/** y: [tokens, 83 or 96] of the same first rows of x, each product in its own way. */
const PRODUCTS: Record<
  string,
  { cols: number; run(backend: Backend, x: ArrayView<'f32'>, computeDtype: 'f32' | 'bf16'): FloatView }
> = {
  'a 4-bit weight': {
    cols: 1088,
    run: (backend, x, computeDtype) =>
      runOp(
        backend,
        matmulNf4,
        { x, bias: normalView(1, 'bias', [ROWS]), ...packedWeight(1, [ROWS, 1088]) },
        { rows: ROWS, cols: 1088, blockSize: 64, nestedOffset: 0.03, computeDtype },
      ).y,
  },
  'a 4-bit weight whose blocks straddle rows': {
    cols: 104,
    run: (backend, x, computeDtype) =>
      runOp(
        backend,
        matmulNf4,
        { x, ...packedWeight(1, [ROWS, 104], { nested: false }) },
        { rows: ROWS, cols: 104, blockSize: 64, nestedOffset: 0, computeDtype },
      ).y,
  },
  'a 4-bit weight in tiles': {
    cols: 1536,
    run: (backend, x, computeDtype) =>
      runOp(
        backend,
        matmulNf4,
        { x, bias: normalView(1, 'bias', [TILED_ROWS]), ...packedWeight(1, [TILED_ROWS, 1536]) },
        { rows: TILED_ROWS, cols: 1536, blockSize: 64, tiled: true, nestedOffset: 0.03, computeDtype },
      ).y,
  },
  'a float32 weight': {
    cols: 1031,
    run: (backend, x, computeDtype) =>
      runOp(
        backend,
        linear,
        { x, weight: normalView(1, 'w', [ROWS, 1031]), bias: undefined },
        { computeDtype },
      ).y,
  },
  'a bfloat16 weight': {
    cols: 1031,
    run: (backend, x, computeDtype) =>
      runOp(
        backend,
        linear,
        { x, weight: normalBfloat16View(1, 'w', [ROWS, 1031]), bias: undefined },
        { computeDtype },
      ).y,
  },
  'a wide bfloat16 weight with a bias': {
    cols: 640,
    run: (backend, x, computeDtype) =>
      runOp(
        backend,
        linear,
        {
          x,
          weight: normalBfloat16View(1, 'w', [TILED_ROWS, 640]),
          bias: normalView(1, 'bias', [TILED_ROWS]),
        },
        { computeDtype },
      ).y,
  },
  'an adapted 4-bit weight': {
    cols: 576,
    run: (backend, x, computeDtype) =>
      runOp(
        backend,
        adaptedLinear,
        {
          x,
          ...packedWeight(1, [ROWS, 576]),
          a: normalView(1, 'a', [11, 576]),
          b: normalView(1, 'b', [11, ROWS]),
        } as never,
        { rows: ROWS, cols: 576, blockSize: 64, nestedOffset: 0.03, computeDtype, scale: 0.5 },
      ).y!,
  },
  'an adapted 4-bit weight in tiles': {
    cols: 1536,
    run: (backend, x, computeDtype) =>
      runOp(
        backend,
        adaptedLinear,
        {
          x,
          ...packedWeight(1, [TILED_ROWS, 1536]),
          a: normalView(1, 'a', [24, 1536]),
          b: normalView(1, 'b', [24, TILED_ROWS]),
        } as never,
        {
          rows: TILED_ROWS,
          cols: 1536,
          blockSize: 64,
          tiled: true,
          nestedOffset: 0.03,
          computeDtype,
          scale: 0.5,
        },
      ).y!,
  },
};

/**
 * y: [1, 96] of one row at rank 8 of an adapter of `r` rows, whose other rows the row does not use; `r` 0:
 * without an adapter.
 */
function rowBesideRank(backend: Backend, cols: number, r: number, options: RowOptions): FloatView {
  const { computeDtype, rank } = options;
  const a = normalView(1, 'a', [128, cols]);
  const b = normalView(1, 'b', [128, TILED_ROWS]);
  const x = normalView(1, 'x', [1, cols]);
  const weight = packedWeight(1, [TILED_ROWS, cols]);
  const tiled = cols % 64 === 0;
  const shared = { rows: TILED_ROWS, cols, blockSize: 64, tiled, nestedOffset: 0.03, computeDtype };
  if (r === 0) return runOp(backend, matmulNf4, { x, ...weight }, shared).y;
  const parts = [{ until: 1, rank, trainFrom: 0, factor: 0.5 }];
  return runOp(backend, adaptedLinear, { x, ...weight, a: rowsOf(a, 0, r), b: rowsOf(b, 0, r) } as never, {
    ...shared,
    scale: 1,
    parts,
  }).y!;
}

interface RowOptions {
  readonly computeDtype: 'f32' | 'bf16';
  readonly rank: number;
}

describe.each(levels)('at $label, batch invariant', ({ backends: [backend] }) => {
  test.each([500, 576, 896, 1536, 2048])(
    "a token's product with %s inputs has the same bits beside tokens of any rank",
    (cols) => {
      for (const computeDtype of ['f32', 'bf16'] as const)
        for (const rank of [0, 8, 70]) {
          const alone = hostData(rowBesideRank(backend!, cols, rank, { computeDtype, rank }));
          for (const r of [8, 9, 64, 70, 128].filter((largest) => largest >= rank)) {
            const beside = hostData(rowBesideRank(backend!, cols, r, { computeDtype, rank }));
            expect(beside, `rank ${rank} beside ${r}, ${computeDtype}`).toEqual(alone);
          }
        }
    },
  );

  test.each(Object.entries(PRODUCTS))(
    "a token's product with %s has the same bits whatever rows come with it",
    (_, { cols, run }) => {
      for (const computeDtype of ['f32', 'bf16'] as const) {
        const x = normalView(1, 'x', [TOKENS, cols]);
        const all = hostData(run(backend!, x, computeDtype));
        const rows = all.length / TOKENS;
        for (const tokens of [1, 2, 3, 4, 5, 13, 16, 17, 100, 140])
          expect(
            hostData(run(backend!, rowsOf(x, 0, tokens), computeDtype)),
            `${tokens} tokens, ${computeDtype}`,
          ).toEqual(all.slice(0, tokens * rows));
      }
    },
  );
});
