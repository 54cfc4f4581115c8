import { defineConfig } from 'tsup';
import { build } from '../../tsup.base.ts';

/** The library, the command, and the thread that it trains in. */
export default defineConfig({ ...build(['src/index.ts', 'src/main.ts', 'src/train-worker.ts']) });
