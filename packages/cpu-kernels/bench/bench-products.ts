import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCpuBackend } from '../src/index.ts';
import { benchRow } from './bench-row.ts';
import {
  checkProduct,
  makeProblem,
  shapeName,
  type Direction,
  type Product,
  type ProductShape,
} from './product-problem.ts';
import { ownContestant, takeTurns } from './take-turns.ts';
import { COMPUTE, placedProduct, placedWeights } from './placed-product.ts';
import { ceilingsOf, TURNS, type ProductField } from './product-field.ts';
import { bestOfEachMethod, rivalContestants } from './rivals/rival-contestants.ts';

/**
 * Rows of one shape: for each direction and number of tokens, both compute types against all rivals, in
 * turns.
 */
export async function benchShape(
  shape: ProductShape,
  tokenCounts: readonly number[],
  directions: readonly Direction[],
  field: ProductField,
): Promise<void> {
  const data = makeProblem(shape, Math.max(...tokenCounts));
  const folder = mkdtempSync(join(tmpdir(), 'qdylora-bench-'));
  try {
    writeFileSync(join(folder, 'codes.u8'), data.codes);
    writeFileSync(join(folder, 'absmax.f32'), data.scales);
    for (const direction of directions)
      for (const tokens of tokenCounts) await benchProduct({ data, direction, tokens }, folder, field);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function benchProduct(
  product: Product,
  folder: string,
  { threads, level, rivals, print }: ProductField,
): Promise<void> {
  using backend = await createCpuBackend({ numThreads: threads, level });
  const { data, tokens } = product;
  const weights = placedWeights(backend, data);
  const products = COMPUTE.map((computeDtype) => placedProduct(backend, product, { weights, computeDtype }));
  const ours = products.map(({ op, run, answer }, i) => {
    run();
    const exactness = COMPUTE[i] === 'bf16' ? 'bf16 throughout' : 'f32';
    checkProduct(`${op} ${backend.level}`, product, { answer: answer(), exactness });
    return ownContestant(COMPUTE[i], run);
  });
  const { contestants: others, leftOut } = await rivalContestants(rivals, product, folder);
  const ceilings = ceilingsOf(backend);
  const seconds = await takeTurns([...ours, ...others], { ...TURNS, between: ceilings.measure });
  const best = bestOfEachMethod(others, seconds.slice(ours.length));
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
          threads: backend.numThreads,
          level: backend.level,
        },
        { work, seconds: seconds[i], ceilings: ceilings[compute], rivals: best, leftOut },
      ),
    ),
  );
}
