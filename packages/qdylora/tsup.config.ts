import { readFile, writeFile } from 'node:fs/promises';
import { defineConfig } from 'tsup';
import { build } from '../../tsup.base.ts';

/** zod's license comes along with the parts of it in the bundles. */
async function writeLicenses(): Promise<void> {
  const license = await readFile('node_modules/zod/LICENSE', 'utf8');
  await writeFile(
    'dist/THIRD-PARTY-NOTICES.txt',
    `The files of this folder contain parts of zod.\n\n${license}`,
  );
}

/**
 * The library, the command, and the thread that it trains in. Of zod only what is used is taken in: whole, it
 * costs each of the two threads 14 MB (zod 4.6, Node 20).
 */
export default defineConfig({
  ...build(['src/index.ts', 'src/main.ts', 'src/train-worker.ts']),
  noExternal: ['zod'],
  onSuccess: writeLicenses,
});
