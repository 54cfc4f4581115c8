import { createDryBackend } from '@qdylora/contract';
import { benchCalls } from './bench-calls.ts';
import type { BenchCall } from './bench-call.ts';
import { otherCalls } from './other-calls.ts';
import { productCalls } from './product-calls.ts';

/** Rates of a device by its data sheet: bytes and operations a second. */
interface Device {
  readonly name: string;
  readonly bytes: number;
  /** Products of bfloat16 with float32 sums, without sparsity; of float16 where it has no bfloat16. */
  readonly flops: number;
}

/** NVIDIA's data sheets: H100 SXM5, A100 SXM4 80GB, GeForce RTX 4090 (Ada whitepaper), V100 SXM2. */
const DEVICES: readonly Device[] = [
  { name: 'H100', bytes: 3.35e12, flops: 989.4e12 },
  { name: 'A100', bytes: 2.039e12, flops: 312e12 },
  { name: '4090', bytes: 1.008e12, flops: 165.2e12 },
  { name: 'V100', bytes: 0.9e12, flops: 125e12 },
];

/** Rows of the ops that the bandwidth bounds: arrays of 128 MiB in float32, as in the bench. */
const ROWS = 16384;
/** Tokens of a training step, and of a step of decoding. */
const TOKENS = [2048, 1];

/** The least time of a call at the rates of the device: to move its bytes once, or to compute. */
const floorMicroseconds = ({ bytes, flops }: BenchCall, device: Device): number =>
  1e6 * Math.max(bytes / device.bytes, flops / device.flops);

/**
 * The floor of each op, as tab-separated lines: op, largest array, rows or tokens, bytes,
 * operations, and microseconds on each device.
 */
export function rooflineTable(): string {
  const header = [
    'op',
    'largest array',
    'rows',
    'bytes',
    'flops',
    ...DEVICES.map(({ name }) => `${name} µs`),
  ];
  const rows = [ROWS, ...TOKENS].flatMap((count) => {
    const backend = createDryBackend();
    const calls =
      count === ROWS
        ? [...benchCalls(backend, count), ...otherCalls(backend, count)]
        : productCalls(backend, count);
    return calls.map((call) => [
      call.op,
      call.shape,
      count,
      call.bytes,
      call.flops,
      ...DEVICES.map((device) => floorMicroseconds(call, device).toFixed(2)),
    ]);
  });
  return [header, ...rows].map((row) => `${row.join('\t')}\n`).join('');
}
