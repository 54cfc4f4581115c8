import type { Backend, FloatDType } from '@qdylora/contract';
import { adaptedLinear, adaptedLinearBackward } from '@qdylora/lora-dynamic';
import { linear, linearInputGradient, linearWeightGradient } from '@qdylora/tensor';
import type { CudaBackend } from '../src/index.ts';
import type { MeasuredProduct, ProductShape } from '../src/products/product-table.ts';
import { callOf, placed, type BenchCall } from './bench-call.ts';

/** A weight matrix and the tokens that go through it. */
export interface TunedSize {
  readonly tokens: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

export interface TuneOptions {
  /** Measured runs of each product; one more warms up. The fastest counts: nothing makes a run faster. */
  readonly repeats: number;
  /** Calls of one run. */
  readonly calls: number;
  /** Of the adapters; the largest rank of a run by default. */
  readonly rank: number;
}

const DEFAULTS: TuneOptions = { repeats: 5, calls: 10, rank: 64 };

interface TunedCall {
  readonly shape: ProductShape;
  readonly call: BenchCall;
}

/** Makes calls of one size on the arrays of one weight. */
type CallsOfSize = (size: TunedSize, rank: number, dtype: FloatDType) => TunedCall[];

const frozen = { blockSize: 0, nestedOffset: 0, tiled: false, computeDtype: 'bf16', scale: 1 } as const;

const forwardCalls =
  (backend: Backend): CallsOfSize =>
  ({ tokens, inFeatures, outFeatures }, rank, dtype) => {
    const x = placed(backend, 'bf16', [tokens, inFeatures]);
    const weight = placed(backend, 'bf16', [outFeatures, inFeatures]);
    const a = placed(backend, 'f32', [rank, inFeatures]);
    const b = placed(backend, 'f32', [rank, outFeatures]);
    const shape = { form: 'Nt', rows: tokens, columns: outFeatures, depth: inFeatures, dtype } as const;
    return [
      {
        shape: { ...shape, hasPlus: false },
        call: callOf(backend, linear, {
          inputs: { x, weight },
          attributes: { computeDtype: 'bf16', outDtype: dtype },
        }),
      },
      {
        shape: { ...shape, hasPlus: true },
        call: callOf(backend, adaptedLinear, {
          inputs: { x, a, b, weight },
          attributes: { ...frozen, rows: outFeatures, cols: inFeatures, outDtype: dtype },
        }),
      },
    ];
  };

const backwardCalls =
  (backend: Backend): CallsOfSize =>
  ({ tokens, inFeatures, outFeatures }, rank, dtype) => {
    const [x, dy] = [inFeatures, outFeatures].map((width) => placed(backend, 'bf16', [tokens, width]));
    const weight = placed(backend, 'bf16', [outFeatures, inFeatures]);
    const [a, da] = [1, 2].map(() => placed(backend, 'f32', [rank, inFeatures]));
    const [b, db] = [1, 2].map(() => placed(backend, 'f32', [rank, outFeatures]));
    const u = placed(backend, 'f32', [tokens, rank]);
    const shape = { form: 'Nn', rows: tokens, columns: inFeatures, depth: outFeatures, dtype } as const;
    return [
      {
        shape: { ...shape, hasPlus: false },
        call: callOf(backend, linearInputGradient, {
          inputs: { dy, weight },
          attributes: { computeDtype: 'bf16', accumulate: false, outDtype: dtype },
        }),
      },
      {
        shape: { ...shape, hasPlus: true },
        call: callOf(backend, adaptedLinearBackward, {
          inputs: { dy, x, u, a, b, weight },
          attributes: {
            ...frozen,
            rows: outFeatures,
            cols: inFeatures,
            accumulate: false,
            trainFrom: 0,
            wantsDx: true,
            dxDtype: dtype,
          },
          outputs: { da, db },
        }),
      },
    ];
  };

/** dWeight of full training. */
function weightGradientCall(backend: Backend, { tokens, inFeatures, outFeatures }: TunedSize): TunedCall {
  const [x, dy] = [inFeatures, outFeatures].map((width) => placed(backend, 'bf16', [tokens, width]));
  const dWeight = placed(backend, 'f32', [outFeatures, inFeatures]);
  return {
    shape: {
      form: 'Tn',
      rows: outFeatures,
      columns: inFeatures,
      depth: tokens,
      dtype: 'f32',
      hasPlus: false,
    },
    call: callOf(backend, linearWeightGradient, {
      inputs: { x, dy },
      attributes: { computeDtype: 'bf16' },
      outputs: { dWeight },
    }),
  };
}

/** The products of training with one weight: forward and backward, without and with an adapter. */
const callsOf = (backend: Backend, size: TunedSize, rank: number): TunedCall[] => [
  ...(['bf16', 'f32'] as const).flatMap((dtype) => [
    ...forwardCalls(backend)(size, rank, dtype),
    ...backwardCalls(backend)(size, rank, dtype),
  ]),
  weightGradientCall(backend, size),
];

async function microsecondsOf(
  backend: CudaBackend,
  call: BenchCall,
  { repeats, calls }: TuneOptions,
): Promise<number> {
  let least = Infinity;
  for (let repeat = 0; repeat <= repeats; repeat++) {
    const milliseconds = await backend.millisecondsOf(() => {
      for (let i = 0; i < calls; i++) call.enqueue();
    });
    if (repeat > 0) least = Math.min(least, (milliseconds * 1000) / calls);
  }
  return least;
}

/**
 * Measures the products of these sizes on one device: by our own kernels and by the library, each product of
 * both one after the other.
 *
 * @param open opens a backend of the device, which computes products so
 */
export async function tuneProducts(
  open: (products: 'own' | 'library') => Promise<CudaBackend>,
  sizes: readonly TunedSize[],
  options: TuneOptions = DEFAULTS,
): Promise<MeasuredProduct[]> {
  const measured: MeasuredProduct[] = [];
  for (const size of sizes) {
    using own = await open('own');
    using library = await open('library');
    const byLibrary = callsOf(library, size, options.rank);
    for (const [i, { shape, call }] of callsOf(own, size, options.rank).entries())
      measured.push({
        ...shape,
        ownMicroseconds: await microsecondsOf(own, call, options),
        libraryMicroseconds: await microsecondsOf(library, byLibrary[i].call, options),
      });
  }
  return measured;
}
