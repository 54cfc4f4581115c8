// The CUDA sources of the package and their hashes.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const DEVICE = 'src/device';
const KERNELS = 'src/kernels';

/** `{ name, path }` of each kernel source below the package folder `root`, by rising name. */
export const listKernelSources = (root) =>
  readdirSync(join(root, KERNELS))
    .flatMap((folder) => readdirSync(join(root, KERNELS, folder)).map((file) => join(KERNELS, folder, file)))
    .filter((path) => path.endsWith('.cu'))
    .map((path) => ({ name: basename(path, '.cu'), path: path.replaceAll('\\', '/') }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

/** Path → SHA-256 of each kernel source and of each header that they may include. */
export function hashSources(root) {
  const headers = readdirSync(join(root, DEVICE)).sort();
  const paths = [
    ...listKernelSources(root).map(({ path }) => path),
    ...headers.map((file) => `${DEVICE}/${file}`),
  ];
  return Object.fromEntries(
    paths.map((path) => [
      path,
      createHash('sha256')
        .update(readFileSync(join(root, path)))
        .digest('hex'),
    ]),
  );
}

/** The text of a source with that of every header that it includes, each once. */
export function textWithHeaders(root, path, included = new Set()) {
  const text = readFileSync(join(root, path), 'utf8');
  const headers = [...text.matchAll(/^#include "(.+)"$/gm)].map(([, name]) => `${DEVICE}/${name}`);
  const texts = headers
    .filter((header) => !included.has(header) && included.add(header))
    .map((header) => textWithHeaders(root, header, included));
  return [text, ...texts].join('\n');
}
