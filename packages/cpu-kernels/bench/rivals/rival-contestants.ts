import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostData } from '@qdylora/contract';
import { checkProduct, type Product } from '../product-problem.ts';
import type { Contestant } from '../take-turns.ts';
import type { Rivals } from './find-rivals.ts';

/**
 * The rivals' methods as contestants on the numbers in `folder`. Layers that share an input run separately
 * and as one matrix. Each answer is checked. `leftOut`: why a method is missing, for instance because this
 * machine cannot run it (oneDNN in bf16 without AVX-512).
 */
export async function rivalContestants(
  { found, leftOut }: Rivals,
  product: Product,
  folder: string,
): Promise<{ contestants: Contestant[]; leftOut: Record<string, string> }> {
  const { data, direction, tokens } = product;
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
        checkProduct(method, product, {
          answer: new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4),
          exactness: method.includes('openblas') ? 'f32' : 'bf16 throughout',
        });
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

/** The fastest of several ways or core types of one method: `openblas` for `openblas(Haswell)`. */
export function bestOfEachMethod(
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
