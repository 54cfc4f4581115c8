import { fileURLToPath } from 'node:url';

/** A golden file of this package. */
export const fixturePath = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));
