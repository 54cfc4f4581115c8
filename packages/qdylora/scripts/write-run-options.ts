// Writes src/config/run-options.ts from the keys: `npm run options` in packages/qdylora.
// A test compares both.
import { writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { runOptionsSource } from './run-options-source.ts';

const file = new URL('../src/config/run-options.ts', import.meta.url);
const config = await resolveConfig(file);
writeFileSync(file, await format(runOptionsSource(), { ...config, parser: 'typescript' }));
