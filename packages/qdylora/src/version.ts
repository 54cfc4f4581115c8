import { readFileSync } from 'node:fs';

/** The version of the package. package.json is one folder above this file, in sources and in dist. */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
