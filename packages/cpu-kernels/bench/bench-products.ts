import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  hostData,
  bfloat16Array,
  rowsOf,
  runOp,
  viewOf,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import {
  adaptedLinear,
  adaptedLinearGroup,
  adaptedLinearGroupBackward,
  numbered,
} from '@qdylora/lora-dynamic';
import {
  matmulNf4,
  matmulNf4InputGradient,
  NESTED_BLOCK_SIZE,
  quantizedAttributes,
  quantizedInputs,
  quantizedMatrix,
  tileMatrix,
  type QuantizedAttributes,
  type QuantizedInputs,
} from '@qdylora/quant';
import { normalView, numbersOf } from '@qdylora/testing';
import { ceilingOf, createCpuBackend, type CpuBackend } from '../src/index.ts';
import { benchRow, type PrintRow } from './bench-row.ts';
import {
  BLOCK_SIZE,
  checkProduct,
  makeProblem,
  NESTED_OFFSET,
  shapeName,
  type ProblemData,
  type ProductShape,
} from './product-problem.ts';
import type { Rivals } from './rivals/find-rivals.ts';
import { ownContestant, takeTurns, type Contestant } from './take-turns.ts';

export type Direction = 'forward' | 'backward';
const COMPUTE = ['f32', 'bf16'] as const;
type Compute = (typeof COMPUTE)[number];

const TURNS = { rounds: 7, turnSeconds: 4e-3, mostSeconds: 6 };

/**
 * A product on the backend's memory: `run` does it, `answer` reads [tokens, all rows] or [tokens, cols].
 * Layers that share their input are one call.
 */
interface OwnProduct {
  readonly op: string;
  run(): void;
  answer(): Float32Array;
}

function placed<V extends ArrayView>({ memory }: CpuBackend, view: V): V {
  const own = memory.allocate(view.dtype, view.shape);
  memory.write(own, hostData(view));
  return own as V;
}

/** Rows in the backend's memory as a pass of this compute type holds them. */
const placedRows = (backend: CpuBackend, view: ArrayView<'f32'>, dtype: Compute): FloatView =>
  placed<FloatView>(
    backend,
    dtype === 'bf16' ? viewOf('bf16', view.shape, bfloat16Array(hostData(view))) : view,
  );

/** A weight in the backend's memory as a model holds it: in tiles. */
interface OwnWeight {
  readonly operands: QuantizedInputs;
  readonly attributes: QuantizedAttributes;
}

function placedWeight(
  backend: CpuBackend,
  { codes, levels, absmaxCodes, nestedAbsmax, nestedMap }: QuantizedInputs,
  rows: number,
  cols: number,
): OwnWeight {
  const doubleQuantized = {
    codes: absmaxCodes!,
    absmax: nestedAbsmax!,
    map: nestedMap!,
    offset: NESTED_OFFSET,
    blockSize: NESTED_BLOCK_SIZE,
  } as const;
  const matrix = tileMatrix(
    quantizedMatrix({
      kind: 'nf4',
      shape: [rows, cols],
      blockSize: BLOCK_SIZE,
      codes,
      levels,
      absmax: null,
      doubleQuantized,
    }),
  );
  const operands = Object.fromEntries(
    Object.entries(quantizedInputs(matrix)).map(([name, view]) => [name, view && placed(backend, view)]),
  ) as unknown as QuantizedInputs;
  return { operands, attributes: quantizedAttributes(matrix) };
}

const placedWeights = (backend: CpuBackend, { weights, shape: { rows, cols } }: ProblemData): OwnWeight[] =>
  weights.map((weight, i) => placedWeight(backend, weight, rows[i], cols));

const groupAttributes = (weights: readonly OwnWeight[], cols: number, computeDtype: Compute) => ({
  layers: weights.map(({ attributes }) => ({ ...attributes, scale: 1 })),
  cols,
  computeDtype,
  outDtype: computeDtype,
});
const groupOperands = (weights: readonly OwnWeight[]) =>
  weights.map(({ operands }, i) => numbered({ ...operands }, i));

function forwardProduct(
  backend: CpuBackend,
  { shape: { rows, cols }, total, x }: ProblemData,
  weights: readonly OwnWeight[],
  tokens: number,
  computeDtype: Compute,
): OwnProduct {
  const input = placedRows(backend, rowsOf(x, 0, tokens), computeDtype);
  const outputs = rows.map((count) => backend.memory.allocate(computeDtype, [tokens, count]));
  const [only] = weights;
  const inputs = Object.assign({ x: input }, ...groupOperands(weights));
  const attributes = groupAttributes(weights, cols, computeDtype);
  const given = Object.assign({}, ...outputs.map((y, i) => ({ [`y${i}`]: y })));
  return {
    op: weights.length === 1 ? matmulNf4.name : adaptedLinearGroup.name,
    run: () =>
      weights.length === 1
        ? runOp(
            backend,
            matmulNf4,
            { x: input, ...only!.operands },
            { ...only!.attributes, computeDtype, outDtype: computeDtype },
            { y: outputs[0] },
          )
        : runOp(backend, adaptedLinearGroup, inputs, attributes, given),
    answer() {
      const all = new Float32Array(tokens * total);
      let column = 0;
      for (const output of outputs) {
        const values = Float32Array.from(numbersOf(output));
        const width = output.shape[1];
        for (let token = 0; token < tokens; token++)
          all.set(values.subarray(token * width, (token + 1) * width), token * total + column);
        column += width;
      }
      return all;
    },
  };
}

function backwardProduct(
  backend: CpuBackend,
  { shape: { rows, cols }, total, x, dy }: ProblemData,
  weights: readonly OwnWeight[],
  tokens: number,
  computeDtype: Compute,
): OwnProduct {
  const dx = backend.memory.allocate(computeDtype, [tokens, cols]);
  const [only] = weights;
  let column = 0;
  const gradients = rows.map((count) => {
    const part = viewOf('f32', [tokens, count], new Float32Array(tokens * count));
    for (let token = 0; token < tokens; token++)
      hostData(part).set(
        hostData(dy).subarray(token * total + column, token * total + column + count),
        token * count,
      );
    column += count;
    return placedRows(backend, part, computeDtype);
  });
  const own = { accumulate: false, trainFrom: 0, wantsDx: true };
  const attributes = { ...groupAttributes(weights, cols, computeDtype), ...own };
  const inputs = Object.assign(
    { x: placedRows(backend, rowsOf(x, 0, tokens), computeDtype) },
    ...groupOperands(weights),
    ...gradients.map((part, i) => ({ [`dy${i}`]: part })),
  );
  return {
    op: weights.length === 1 ? matmulNf4InputGradient.name : adaptedLinearGroupBackward.name,
    run: () =>
      weights.length === 1
        ? runOp(
            backend,
            matmulNf4InputGradient,
            { dy: gradients[0], ...only!.operands },
            { ...only!.attributes, ...own, computeDtype, outDtype: computeDtype },
            { dx },
          )
        : runOp(backend, adaptedLinearGroupBackward, inputs, attributes, { dx }),
    answer: () => Float32Array.from(numbersOf(dx)),
  };
}

/**
 * The rival's methods as contestants on the numbers in `folder`; layers that share an input separately and as
 * one matrix. Each one's answer is checked. `leftOut`: why others are missing, those too that cannot do it on
 * this machine (oneDNN in bf16 without AVX-512).
 */
async function rivalContestants(
  { found, leftOut }: Rivals,
  data: ProblemData,
  direction: Direction,
  tokens: number,
  folder: string,
): Promise<{ contestants: Contestant[]; leftOut: Record<string, string> }> {
  const contestants: Contestant[] = [];
  const missing = { ...leftOut };
  const { rows, cols } = data.shape;
  const ways = rows.length > 1 ? [rows.join(','), String(data.total)] : [String(data.total)];
  const input = direction === 'forward' ? data.x : data.dy;
  writeFileSync(join(folder, 'in.f32'), hostData(input).subarray(0, tokens * input.shape[1]));
  for (const { process, methods } of found) {
    await process.ask('clear');
    for (const method of methods.filter(
      (name) => direction === 'forward' || name !== 'bitsandbytes-inference',
    )) {
      for (const way of ways) {
        const [state, slot, ...why] = (
          await process.ask(`prepare ${method} ${direction} ${tokens} ${cols} ${way} ${folder}`)
        ).split(' ');
        if (state !== 'ready') {
          missing[method] = `${slot} ${why.join(' ')}`;
          continue;
        }
        const bytes = readFileSync(join(folder, `${method}.f32`));
        checkProduct(
          method,
          data,
          direction === 'forward',
          tokens,
          new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4),
          method.includes('openblas') ? 'f32' : 'bf16 throughout',
        );
        contestants.push({
          name: method,
          time: async (samples, calls) =>
            (await process.ask(`time ${slot} ${samples} ${calls}`)).trim().split(' ').map(Number),
        });
      }
    }
  }
  return { contestants, leftOut: missing };
}

/** Of several ways or core types of one method the fastest counts, as `openblas` for `openblas(Haswell)`. */
function bestOfEachMethod(
  contestants: readonly Contestant[],
  seconds: readonly (readonly number[])[],
): Record<string, readonly number[]> {
  const best: Record<string, readonly number[]> = {};
  contestants.forEach(({ name }, i) => {
    const method = name.replace(/\(.*\)/, '');
    const times = seconds[i];
    if (!best[method] || Math.min(...times) < Math.min(...best[method])) best[method] = times;
  });
  return best;
}

/** What a bench of products runs on and against. */
export interface Field {
  readonly threads: number;
  readonly level: string | undefined;
  readonly rivals: Rivals;
  readonly print: PrintRow;
}

/**
 * Rows of one shape: for each direction and number of tokens, both compute types against all rivals, in
 * turns.
 */
export async function benchShape(
  shape: ProductShape,
  tokenCounts: readonly number[],
  directions: readonly Direction[],
  field: Field,
): Promise<void> {
  const data = makeProblem(shape, Math.max(...tokenCounts));
  const folder = mkdtempSync(join(tmpdir(), 'qdylora-bench-'));
  try {
    writeFileSync(join(folder, 'codes.u8'), data.codes);
    writeFileSync(join(folder, 'absmax.f32'), data.scales);
    for (const direction of directions)
      for (const tokens of tokenCounts) await benchProduct(data, direction, tokens, folder, field);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function benchProduct(
  data: ProblemData,
  direction: Direction,
  tokens: number,
  folder: string,
  { threads, level, rivals, print }: Field,
): Promise<void> {
  using backend = await createCpuBackend({ threads, level });
  const isForward = direction === 'forward';
  const weights = placedWeights(backend, data);
  const products = COMPUTE.map((compute) =>
    (isForward ? forwardProduct : backwardProduct)(backend, data, weights, tokens, compute),
  );
  const own = products.map(({ op, run, answer }, i) => {
    run();
    checkProduct(
      `${op} ${backend.level}`,
      data,
      isForward,
      tokens,
      answer(),
      COMPUTE[i] === 'bf16' ? 'bf16 throughout' : 'f32',
    );
    return ownContestant(COMPUTE[i], run);
  });
  const { contestants: others, leftOut } = await rivalContestants(rivals, data, direction, tokens, folder);
  const ceilings = ceilingsOf(backend);
  const seconds = await takeTurns([...own, ...others], { ...TURNS, between: ceilings.measure });
  const best = bestOfEachMethod(others, seconds.slice(own.length));
  const { cols } = data.shape;
  const work = {
    flops: 2 * tokens * data.total * cols,
    bytes: data.codes.length + (data.total * cols) / 64 + 4 * tokens * (data.total + cols),
  };
  COMPUTE.forEach((compute, i) =>
    print(
      benchRow(
        {
          op: products[i].op,
          shape: shapeName(data.shape),
          m: tokens,
          compute,
          threads: backend.threads,
          level: backend.level,
        },
        work,
        seconds[i],
        ceilings[compute],
        best,
        leftOut,
      ),
    ),
  );
}

/** Peaks that are measured once a round. */
function ceilingsOf(backend: CpuBackend): Record<Compute, number[]> & { measure(): void } {
  const peaks = { f32: ceilingOf(backend, 'f32'), bf16: ceilingOf(backend, 'bf16') };
  const found = { f32: [] as number[], bf16: [] as number[] };
  return { ...found, measure: () => COMPUTE.forEach((compute) => found[compute].push(peaks[compute]())) };
}

/**
 * What a nested adapter adds to a layer: its forward at rank r against the plain product, as a rival of the
 * same name (0.98 = 2 % more time).
 */
export async function benchAdapter(
  shape: ProductShape,
  tokens: number,
  rank: number,
  { threads, level, print }: Field,
): Promise<void> {
  using backend = await createCpuBackend({ threads, level });
  const [rows] = shape.rows as [number];
  const { cols } = shape;
  const data = makeProblem(shape, tokens);
  const { operands, attributes: own } = placedWeights(backend, data)[0];
  const x = placed(backend, data.x);
  const a = placed(backend, normalView(1, 'a', [rank, cols]));
  const b = placed(backend, normalView(1, 'b', [rank, rows]));
  for (const compute of COMPUTE) {
    const attributes = { ...own, computeDtype: compute };
    const ceilings = ceilingsOf(backend);
    const y = backend.memory.allocate('f32', [tokens, rows]);
    const u = backend.memory.allocate('f32', [tokens, rank]);
    const plain = backend.memory.allocate('f32', [tokens, rows]);
    const adapted = ownContestant('adapted', () =>
      runOp(
        backend,
        adaptedLinear,
        { x, a, b, ...operands },
        { ...attributes, scale: ADAPTER_SCALE },
        { y, u },
      ),
    );
    const alone = ownContestant('alone', () =>
      runOp(backend, matmulNf4, { x, ...operands }, attributes, { y: plain }),
    );
    const [withAdapter, base] = await takeTurns([adapted, alone], {
      ...TURNS,
      rounds: 20,
      between: ceilings.measure,
    });
    checkProduct('matmul-nf4', data, true, tokens, hostData(plain).slice(0, tokens * rows), compute);
    checkAdapter({ x, a, b, y, plain });
    print(
      benchRow(
        {
          op: adaptedLinear.name,
          shape: `${shapeName(shape)} r${rank}`,
          m: tokens,
          compute,
          threads: backend.threads,
          level: backend.level,
        },
        { flops: 2 * tokens * (rows * cols + rank * (rows + cols)) },
        withAdapter!,
        ceilings[compute],
        { 'matmul-nf4': base! },
      ),
    );
  }
}

const ADAPTER_SCALE = 0.5;

/**
 * y − plain against scale·(x·Aᵀ)·B in float64, at some elements. @throws where they differ by more than the
 * roundings of y and of two float32 sums.
 */
function checkAdapter({
  x,
  a,
  b,
  y,
  plain,
}: Record<'x' | 'a' | 'b' | 'y' | 'plain', ArrayView<'f32'>>): void {
  const [rank, cols] = a.shape as [number, number];
  const [tokens, rows] = y.shape as [number, number];
  for (let i = 0; i < 50; i++) {
    const at = (i * 7_919_777) % (tokens * rows);
    const token = Math.floor(at / rows);
    let want = 0;
    let magnitude = Math.abs(hostData(y)[at]) + Math.abs(hostData(plain)[at]);
    for (let k = 0; k < rank; k++) {
      for (let j = 0; j < cols; j++) {
        const product =
          ADAPTER_SCALE *
          hostData(x)[token * cols + j] *
          hostData(a)[k * cols + j] *
          hostData(b)[k * rows + (at % rows)];
        want += product;
        magnitude += Math.abs(product);
      }
    }
    const got = hostData(y)[at] - hostData(plain)[at];
    const limit = 2 ** -24 * (cols + rank + 8) * magnitude + 2 ** -8 * Math.abs(want);
    if (!(Math.abs(got - want) <= limit))
      throw new Error(
        `adapted-linear: element ${at} is ${got} above the plain product, but must be ${want} ± ${limit}`,
      );
  }
}
