import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run-command.mjs';

const { include } = JSON.parse(readFileSync(join(root, 'tsconfig.pure.json'), 'utf8'));

/** Folders of the packages that run in a browser. They are type-checked without Node's types. */
export const PURE_PACKAGES = include.map((path) => path.split('/')[1]);
