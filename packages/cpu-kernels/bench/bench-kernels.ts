/**
 * Every op's speed at the shapes that matter, against the machine's ceiling and against rivals, all measured
 * in turns in one run, after the answers were checked.
 *
 *     pnpm bench:kernels [--json] [--op matmul-nf4] [--threads 2] [--m 32,256] [--shape
 *     2048x2048,576+192+192x576] [--direction forward|backward] [--level avx2]
 *
 * Products with 4-bit weights (matmul-nf4 and its input gradient) meet OpenBLAS, oneDNN and, where
 * QDYLORA_PEERS_PYTHON names a Python that has them, torch and bitsandbytes; `x+y` in a shape are layers that
 * share their input: one op (adapted-linear-group), and for a rival the faster of separate products and of
 * one with the joined matrix. adapted-linear meets the plain product. empty-run is what it costs to start and
 * end a team of threads.
 * All other ops run the benches of their own folders.
 */
import { readdirSync } from 'node:fs';
import { benchAdapter } from './bench-adapter.ts';
import { benchShape } from './bench-products.ts';
import type { Direction } from './product-problem.ts';
import { benchTeam } from './bench-team.ts';
import { benchOptions } from './bench-options.ts';
import { printRow, type PrintRow } from './bench-row.ts';
import { readShape } from './product-problem.ts';
import { findRivals } from './rivals/find-rivals.ts';

/**
 * 2048² and 4096², then SmolLM2-135M's: q and o, k and v, gate and up, down; and its groups that share an
 * input.
 */
const SHAPES = [
  '2048x2048',
  '4096x4096',
  '576x576',
  '192x576',
  '1536x576',
  '576x1536',
  '576+192+192x576',
  '1536+1536x576',
];
const TOKENS = [1, 8, 32, 128, 256, 512, 2048];
/** Shapes, tokens and rank at which an adapter is set against the plain layer. */
const ADAPTER = { shapes: ['2048x2048'], tokens: [256], rank: 16 };

const options = benchOptions();
const kernels = new URL('../kernels/', import.meta.url);
const asks = (op: string): boolean => !options.op || op.startsWith(options.op);
const directions: Direction[] = (['forward', 'backward'] as const).filter(
  (direction) =>
    (!options.direction || options.direction === direction) &&
    asks(direction === 'forward' ? 'matmul-nf4' : 'matmul-nf4-input-gradient'),
);
const folders = readdirSync(kernels).filter(
  (op) => asks(op) && op !== 'matmul-nf4' && op !== 'adapted-linear',
);
if (!directions.length && !folders.length && !asks('adapted-linear') && !asks('empty-run'))
  throw new Error(`No op begins with ${options.op} (--op). There are: ${readdirSync(kernels).join(', ')}.`);

const print: PrintRow = (row) => printRow(row, options.json);
for (const threads of options.threads) {
  const rivals = await findRivals(threads, process.env.QDYLORA_PEERS_PYTHON);
  const field = { threads, level: options.level, rivals, print };
  try {
    if (!options.json)
      for (const [name, why] of Object.entries(rivals.leftOut)) console.log(`left out: ${name}: ${why}`);
    if (asks('empty-run')) await benchTeam(threads, options.level, print);
    if (directions.length)
      for (const shape of options.shape ?? SHAPES)
        await benchShape(readShape(shape), options.m ?? TOKENS, directions, field);
    if (asks('adapted-linear'))
      for (const shape of options.shape ?? ADAPTER.shapes)
        for (const tokens of options.m ?? ADAPTER.tokens)
          await benchAdapter(readShape(shape), tokens, ADAPTER.rank, field);
  } finally {
    rivals.end();
  }
}
for (const op of folders) await import(new URL(`${op}/${op}.bench.ts`, kernels).href);
