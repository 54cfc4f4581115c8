// Runs every kernels/*/*.bench.ts, or those whose folder contains an argument: `npm run bench -- matmul-nf4
// --threads=1,2 --level=avx2 --only=2048`.
import { readdirSync } from 'node:fs';
import { benchOptions } from '../bench/bench-options.ts';

const kernels = new URL('../kernels/', import.meta.url);
const { filters } = benchOptions();
const folders = readdirSync(kernels).filter(
  (op) => !filters.length || filters.some((filter) => op.includes(filter)),
);
if (!folders.length)
  throw new Error(
    `No kernel folder matches ${filters.join(', ')}. There are: ${readdirSync(kernels).join(', ')}.`,
  );
for (const op of folders) {
  for (const file of readdirSync(new URL(`${op}/`, kernels)).filter((name) => name.endsWith('.bench.ts')))
    await import(new URL(`${op}/${file}`, kernels).href);
}
