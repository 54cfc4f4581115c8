import { readFileSync } from 'node:fs';

/** The package's version: package.json lies one folder above, for the sources as for dist. */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
