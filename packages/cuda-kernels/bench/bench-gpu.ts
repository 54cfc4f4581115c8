/**
 * Ops that are bound by the bandwidth of memory, and the products of a model of 7B, against the driver's own
 * copy on the same device in the same run: `npm run bench gpu [-- --json --tokens 16384]`. Each kernel is
 * first compared with its reference on some calls. The rate of a kernel is the bytes that it must read and
 * write, by the time of the device.
 * Ends with 2 where there is no GPU.
 */
import { parseArgs } from 'node:util';
import { ALL_CASES, checkConformance } from '@qdylora/testing/conformance';
import { recordRows } from '@qdylora/testing/bench';
import { cudaOpNames, createCudaBackend, listCudaDevices, type CudaBackend } from '../src/index.ts';
import type { BenchCall } from './bench-call.ts';
import { benchCalls } from './bench-calls.ts';
import { otherCalls } from './other-calls.ts';
import { productCalls } from './product-calls.ts';

/** Runs of each call: one warms up, each of the others is measured over so many calls. */
const REPEATS = 7;
const CALLS = 20;
const COPY_BYTES = 256 * 2 ** 20;
/** Rows of 2048 numbers: arrays of 128 MiB in float32, more than the caches of any GPU. */
const TOKENS = 16384;
/** Tokens of the products of a training step; those of decoding have one. */
const TRAINED_TOKENS = 2048;

interface Row {
  readonly op: string;
  readonly shape: string;
  readonly microseconds: number;
  /** (slowest − fastest) / median, of the repeats. */
  readonly spread: number;
  readonly gbps: number;
  /** 10¹² operations of products a second; 0 for an op without any. */
  readonly tflops: number;
  /** Of the rate of the driver's copy. */
  readonly ratio: number;
}

interface Timing {
  readonly microseconds: number;
  readonly spread: number;
}

async function timeOf(backend: CudaBackend, enqueue: () => void): Promise<Timing> {
  const times: number[] = [];
  for (let repeat = 0; repeat <= REPEATS; repeat++) {
    const milliseconds = await backend.millisecondsOf(() => {
      for (let call = 0; call < CALLS; call++) enqueue();
    });
    if (repeat > 0) times.push((milliseconds * 1000) / CALLS);
  }
  times.sort((a, b) => a - b);
  const median = times[REPEATS >> 1];
  return { microseconds: median, spread: (times[REPEATS - 1] - times[0]) / median };
}

/** Compares each kernel with its reference. @throws Error for the first call that disagrees */
async function checkKernels(backend: CudaBackend, ops: ReadonlySet<string>): Promise<void> {
  const cases = ALL_CASES.filter(({ op }) => ops.has(op.name));
  await checkConformance([{ label: backend.level, backends: [backend] }], cases, {
    numRuns: 2,
    withEdges: false,
    seed: 1,
  });
}

function rowOf(
  { op, shape, bytes, flops }: Omit<BenchCall, 'enqueue'>,
  timing: Timing,
  copyGbps: number,
): Row {
  const gbps = bytes / timing.microseconds / 1000;
  return { op, shape, ...timing, gbps, tflops: flops / timing.microseconds / 1e6, ratio: gbps / copyGbps };
}

async function measureAll(
  backend: CudaBackend,
  tokens: number,
  print: (row: Row) => void,
): Promise<readonly Row[]> {
  const { memory } = backend;
  const rows: Row[] = [];
  const add = (row: Row): void => {
    rows.push(row);
    print(row);
  };
  const bytes = Math.min(COPY_BYTES, 2 ** Math.floor(Math.log2(backend.device.memoryBytes / 8)));
  const [from, to] = [1, 2].map(() => memory.allocate('u8', [bytes]));
  const copy = await timeOf(backend, () => {
    backend.copyByDriver(from, to);
  });
  const copyGbps = (2 * bytes) / copy.microseconds / 1000;
  add(rowOf({ op: 'driver copy', shape: `${bytes} u8`, bytes: 2 * bytes, flops: 0 }, copy, copyGbps));
  memory.release(from);
  memory.release(to);
  const products = [TRAINED_TOKENS, 1].flatMap((count) => productCalls(backend, count));
  const bound = [...benchCalls(backend, tokens), ...otherCalls(backend, tokens)];
  for (const call of [...bound, ...products]) add(rowOf(call, await timeOf(backend, call.enqueue), copyGbps));
  return rows;
}

const textOf = ({ op, shape, microseconds, spread, gbps, tflops, ratio }: Row): string =>
  `${op.padEnd(26)}${shape.padEnd(22)}${microseconds.toFixed(1).padStart(10)} µs ` +
  `${gbps.toFixed(1).padStart(8)} GB/s ${tflops.toFixed(1).padStart(6)} TFLOP/s ` +
  `${(100 * ratio).toFixed(0).padStart(4)} % of copy ` +
  `(± ${(50 * spread).toFixed(0)} %)`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { json: { type: 'boolean', default: false }, tokens: { type: 'string', default: `${TOKENS}` } },
  });
  const { json } = values;
  const tokens = Number(values.tokens);
  if (!Number.isInteger(tokens) || tokens < 1) {
    console.error(`[bench gpu] --tokens must be a whole number of at least 1 (got ${values.tokens}).`);
    return 2;
  }
  const found = listCudaDevices();
  if (!found.available) {
    console.error(`[bench gpu] nothing was measured: ${found.reason}`);
    return 2;
  }
  using backend = await createCudaBackend();
  const ops = cudaOpNames();
  const { name } = backend.device;
  const machine = { device: name, kernels: backend.level, driver: found.driver };
  if (!json) console.log(`${name}, kernels ${backend.level}, CUDA ${found.driver}`);
  await checkKernels(backend, ops);
  const rows = await measureAll(backend, tokens, (row) => {
    console.log(json ? JSON.stringify({ bench: 'gpu', ...machine, ...row }) : textOf(row));
  });
  recordRows(rows.map((row) => ({ ...machine, ...row })));
  const measured = new Set(rows.map(({ op }) => op));
  const left = [...ops].filter((op) => !measured.has(op));
  if (left.length > 0) console.error(`[bench gpu] no bench yet: ${left.join(', ')}`);
  return 0;
}

process.exitCode = await main();
