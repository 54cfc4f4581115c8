import { hostData, runOp, type ArrayView } from '@qdylora/contract';
import { adaptedLinear } from '@qdylora/lora-dynamic';
import { matmulNf4 } from '@qdylora/quant';
import { normalView } from '@qdylora/testing';
import { createCpuBackend } from '../src/index.ts';
import { benchRow } from './bench-row.ts';
import { checkProduct, makeProblem, shapeName, type ProductShape } from './product-problem.ts';
import { ownContestant, takeTurns } from './take-turns.ts';
import { COMPUTE, placed, placedWeights } from './placed-product.ts';
import { ceilingsOf, TURNS, type ProductField } from './product-field.ts';

/**
 * What a nested adapter adds to a layer: its forward at rank r against the plain product, as a rival of the
 * same name (0.98 = 2 % more time).
 */
export async function benchAdapter(
  shape: ProductShape,
  tokens: number,
  rank: number,
  { threads, level, print }: ProductField,
): Promise<void> {
  using backend = await createCpuBackend({ numThreads: threads, level });
  const [rows] = shape.rows as [number];
  const { cols } = shape;
  const data = makeProblem(shape, tokens);
  const { operands, attributes: weightAttributes } = placedWeights(backend, data)[0];
  const x = placed(backend, data.x);
  const a = placed(backend, normalView(1, 'a', [rank, cols]));
  const b = placed(backend, normalView(1, 'b', [rank, rows]));
  for (const compute of COMPUTE) {
    const attributes = { ...weightAttributes, computeDtype: compute };
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
    const answer = hostData(plain).slice(0, tokens * rows);
    checkProduct('matmul-nf4', { data, direction: 'forward', tokens }, { answer, exactness: compute });
    checkAdapter({ x, a, b, y, plain });
    print(
      benchRow(
        {
          op: adaptedLinear.name,
          shape: `${shapeName(shape)} r${rank}`,
          m: tokens,
          compute,
          threads: backend.numThreads,
          level: backend.level,
        },
        {
          work: { flops: 2 * tokens * (rows * cols + rank * (rows + cols)) },
          seconds: withAdapter!,
          ceilings: ceilings[compute],
          rivals: { 'matmul-nf4': base! },
        },
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
