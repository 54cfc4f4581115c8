import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A golden file of this package. */
export const fixturePath = (name: string): string => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));

/** A golden file too large for the repository, where it lies beside it; null (and a printed reason) elsewhere. */
export function sharedFixturePath(name: string): string | null {
  const path = fileURLToPath(new URL(`../../../../../shared/fixtures/${name}`, import.meta.url));
  if (existsSync(path)) return path;
  console.log(`skipped: ${path} is not here (large golden files are kept beside the repository)`);
  return null;
}
