/**
 * How long the workers of a step take to add their gradients: in the exact order, in that of the library
 * (`fast_reduce`), and sent as bf16 or int8 (`gradient_compression`). Sizes are those of SmolLM2-135M's
 * adapters at rank 1, 8 and 64; a step has 8 micro batches. The processes run on one machine.
 *
 *     npm run bench reduction -- [--workers 2,3,4]
 *
 * Needs Open MPI or MPICH. Checked answers: the laws of packages/collectives.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { recordRows, type ResultRow } from '@qdylora/testing/bench';
import { installedLaunchers, launch } from '@qdylora/testing/node';

const { values } = parseArgs({ options: { workers: { type: 'string', default: '2,3,4' } } });
const worker = fileURLToPath(new URL('reduction.worker.ts', import.meta.url));

for (const launcher of installedLaunchers())
  for (const count of values.workers.split(',').map(Number)) {
    const { status, output } = await launch(launcher, count, [
      '--conditions=source',
      '--import',
      'tsx',
      worker,
    ]);
    if (status !== 0) throw new Error(output);
    const rows = output.split('\n').filter((line) => line.startsWith('{'));
    for (const row of rows) console.log(row);
    recordRows(rows.map((row) => JSON.parse(row) as ResultRow));
  }
