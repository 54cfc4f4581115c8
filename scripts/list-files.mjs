// Files of the project that people write: no dependencies, no build results.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const MADE_BY_MACHINE = new Set([
  'node_modules',
  'dist',
  'build',
  'runs',
  'coverage',
  'cache',
  '.git',
  '.turbo',
  '.venv',
  '__pycache__',
]);

/**
 * Full paths below `folder` whose name fits the pattern, by rising name; nothing where the folder is missing.
 */
export function listFiles(folder, pattern) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return MADE_BY_MACHINE.has(entry.name) ? [] : listFiles(path, pattern);
      return pattern.test(entry.name) ? [path] : [];
    });
}
