// One file of types per package, dist/index.d.ts, as `npm publish` packs it. All packages share one program
// of the type checker: a program for each took four times as long.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';
import { listPackages } from './list-packages.mjs';
import { root } from './run-command.mjs';

/** Sources of another package are read for their types, and stay imports in what is written. */
const isOtherModule = (specifier) => !specifier.startsWith('.') && !specifier.startsWith('/');

/** Declares `Disposable`, which the types name: a browser project may have neither it nor Node's types. */
const DISPOSABLE = '/// <reference lib="esnext.disposable" />';

export async function buildTypes() {
  const folders = listPackages()
    .map(({ path }) => path)
    .filter((path) => existsSync(join(path, 'tsup.config.ts')));
  const input = Object.fromEntries(
    folders.map((path) => [`${path.slice(root.length)}/dist/index`, join(path, 'src/index.ts')]),
  );
  const bundle = await rollup({
    input,
    external: isOtherModule,
    plugins: [dts({ tsconfig: join(root, 'tsconfig.json') })],
    onwarn: (warning) => {
      throw new Error(`[build-types] ${warning.message}`);
    },
  });
  const { output } = await bundle.write({
    dir: root,
    format: 'es',
    entryFileNames: '[name].d.ts',
    chunkFileNames: '[name].d.ts',
    banner: DISPOSABLE,
  });
  await bundle.close();
  return output.map(({ fileName }) => fileName);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const start = performance.now();
  const files = await buildTypes();
  console.log(`[build-types] ${files.length} files in ${((performance.now() - start) / 1000).toFixed(0)} s.`);
}
