import { defineConfig } from 'tsup';
import { build } from '../../tsup.base.ts';

/**
 * The library, the command, and the thread that it trains in. Of zod only what is used is taken in: whole, it
 * costs each of the two threads 14 MB (zod 4.6, Node 20).
 */
export default defineConfig({
  ...build(['src/index.ts', 'src/main.ts', 'src/train-worker.ts']),
  noExternal: ['zod'],
});
