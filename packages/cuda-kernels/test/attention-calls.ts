import type { Op } from '@qdylora/contract';
import {
  causalAttention,
  causalAttentionBackward,
  type AttentionAttributes,
  type ComputeDtype,
} from '@qdylora/tensor';
import {
  attentionAttributes,
  attentionBackwardCall,
  attentionForwardCall,
  type AttentionSetting,
} from '@qdylora/testing/conformance';
import type { SmallCall } from './small-calls.ts';

const forward = (setting: AttentionSetting): SmallCall => ({
  op: causalAttention as unknown as Op,
  call: attentionForwardCall(setting) as unknown as SmallCall['call'],
});
const backward = (setting: AttentionSetting): SmallCall => ({
  op: causalAttentionBackward as unknown as Op,
  call: attentionBackwardCall(setting) as unknown as SmallCall['call'],
});
const both = (setting: AttentionSetting): SmallCall[] => [forward(setting), backward(setting)];

interface AttentionSizes {
  readonly queries: number;
  readonly keys: number;
  readonly headDim: number;
  readonly computeDtype: ComputeDtype;
}

/**
 * A forward call and, where queries and keys are as many, its backward: two heads of one kv head, and a
 * window that only the chunks of keys are wider than.
 */
export function attentionCalls({ queries, keys, headDim, computeDtype }: AttentionSizes): SmallCall[] {
  const setting = {
    seed: headDim,
    segments: [{ queries, keys }],
    attributes: attentionAttributes({ heads: 2, kvHeads: 1, headDim, window: 700, computeDtype }),
  };
  return queries === keys ? both(setting) : [forward(setting)];
}

/** Calls for every tile of the kernels, and one whose keys are cut into chunks. */
export const tileCalls = (computeDtype: ComputeDtype): SmallCall[] => [
  ...[32, 80, 256].flatMap((headDim) => attentionCalls({ queries: 21, keys: 21, headDim, computeDtype })),
  ...attentionCalls({ queries: 1, keys: 530, headDim: 4, computeDtype }),
];

/** Fewest queries of two tiles, of heads that only the largest tile takes, of others, and of tensor cores. */
function twoTiles(headDim: number, computeDtype: ComputeDtype): number {
  if (headDim > 128) return 18;
  return computeDtype === 'f32' ? 34 : 66;
}

/** Heads whose tiles 128 threads copy in one, two or three rounds more than a multiple of four. */
const ODD_ROUNDS = [4, 8, 12, 72, 80, 88, 144, 160, 176] as const;

/** Heads of each tile, and keys of two to seven chunks. */
const DECODING = [
  [3, 515],
  [66, 515],
  [130, 515],
  ...[1030, 1300, 1560, 1800].map((keys) => [3, keys] as const),
] as const;

/** Both directions with all that a call may ask for, in segments of which one has no queries. */
const withAllOptions = (
  heads: Pick<AttentionAttributes, 'kvHeads' | 'headDim' | 'computeDtype'>,
): SmallCall[] =>
  both({
    seed: heads.headDim,
    segments: [
      { queries: 3, keys: 9 },
      { queries: 0, keys: 6 },
      { queries: 19, keys: 19 },
    ],
    attributes: attentionAttributes({ ...heads, heads: 2, window: 5, softCap: 2 }),
    hasSlopes: true,
  });

/**
 * Calls for every branch of the kernels: heads of each tile that fill it, in two tiles of rows; heads that do
 * not, in segments of which one has no queries, with a window, a cap and slopes, or one of these; and chunks
 * of keys that some rows do not reach.
 */
export const branchCalls = (computeDtype: ComputeDtype): SmallCall[] => [
  ...[64, 128, 256].flatMap((headDim) => {
    const queries = twoTiles(headDim, computeDtype);
    return both({
      seed: headDim,
      segments: [{ queries, keys: queries + 2 }],
      attributes: attentionAttributes({ heads: 2, kvHeads: 1, headDim, computeDtype }),
    });
  }),
  ...ODD_ROUNDS.flatMap((headDim) => {
    const queries = twoTiles(headDim, computeDtype);
    return both({
      seed: headDim,
      segments: [{ queries, keys: queries }],
      attributes: attentionAttributes({ heads: 1, kvHeads: 1, headDim, computeDtype }),
    });
  }),
  ...[13, 127, 131].flatMap((headDim) => withAllOptions({ kvHeads: 2, headDim, computeDtype })),
  ...[3, 90, 140].flatMap((headDim) =>
    [true, false].flatMap((hasSlopes) =>
      both({
        seed: headDim,
        segments: [{ queries: 9, keys: 19 }],
        attributes: attentionAttributes({
          ...{ heads: 1, kvHeads: 1, headDim, computeDtype },
          ...{ window: 5, softCap: hasSlopes ? 0 : 2 },
        }),
        hasSlopes,
      }),
    ),
  ),
  ...DECODING.map(([headDim, keys]) =>
    forward({
      seed: keys,
      segments: [
        { queries: 2, keys },
        { queries: 1, keys: 4 },
      ],
      attributes: attentionAttributes({
        ...{ heads: 1, kvHeads: 1, headDim, computeDtype },
        ...{ window: 90, softCap: 2 },
      }),
      hasSlopes: true,
    }),
  ),
];

/**
 * The bound of gradients is for the worst numbers: most gradients of normal ones are below it. These calls
 * keep to a part of it, or are refused before any mutant is tried.
 */
export const sharpened = ({ op, call }: SmallCall): SmallCall =>
  op.name === causalAttention.name
    ? { op, call }
    : { op, call: { ...call, bound: (...place) => call.bound(...place) / 64 } };

/** Forward calls of two chunks: one that ends within a tile, and one that no query sees. */
const chunkCalls = (computeDtype: ComputeDtype): SmallCall[] =>
  [8, 72].flatMap((headDim) =>
    [
      { window: 0, hasSlopes: false },
      { window: 0, hasSlopes: true },
      { window: 90, hasSlopes: false },
    ].map(({ window, hasSlopes }) =>
      forward({
        seed: headDim,
        segments: [{ queries: 9, keys: 515 }],
        attributes: attentionAttributes({ heads: 1, kvHeads: 1, headDim, computeDtype, window }),
        hasSlopes,
      }),
    ),
  );

/**
 * Calls for every branch of the kernels that use tensor cores, of heads for each of their tiles: heads that
 * do not fill it, with all that a call may ask for; the shortest heads, where most keys are seen; two tiles
 * of rows whose heads are full; a tile of keys that no query sees; and chunks of keys.
 */
export const tensorCalls = (computeDtype: ComputeDtype): SmallCall[] =>
  [
    ...[13, 127].flatMap((headDim) => withAllOptions({ kvHeads: 1, headDim, computeDtype })),
    ...[3, 65].flatMap((headDim) =>
      [true, false].flatMap((hasSlopes) =>
        both({
          seed: headDim,
          segments: [{ queries: 35, keys: 45 }],
          attributes: attentionAttributes({
            // without slopes, those of the third head would be past the end of what is in their place
            ...{ heads: hasSlopes ? 1 : 3, kvHeads: 1, headDim, computeDtype },
            // without the cap, scores would be several times as large
            ...{ scale: 9 / Math.sqrt(headDim), softCap: 2 },
          }),
          hasSlopes,
        }),
      ),
    ),
    ...[64, 128].flatMap((headDim) =>
      both({
        seed: headDim,
        segments: [{ queries: 66, keys: 66 }],
        attributes: attentionAttributes({ heads: 1, kvHeads: 1, headDim, computeDtype }),
      }),
    ),
    ...[8, 72].flatMap((headDim) =>
      both({
        seed: headDim,
        segments: [{ queries: 9, keys: 80 }],
        attributes: attentionAttributes({ heads: 1, kvHeads: 1, headDim, computeDtype, window: 5 }),
        hasSlopes: true,
      }),
    ),
    ...chunkCalls(computeDtype),
  ].map(sharpened);
