import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders: string[] = [];

/**
 * A fresh folder in `parent` that goes away when the test file ends. Modules that several files import call
 * it in functions only, because files share modules.
 */
export function temporaryFolder(parent = tmpdir()): string {
  folders.push(mkdtempSync(join(parent, 'qdylora-test-')));
  return folders.at(-1)!;
}

/** Removes all folders that the test file has made. vitest.base.ts calls it at the end of each file. */
export function removeTemporaryFolders(): void {
  // a process that was just ended may still write: a browser into its profile
  const options = { recursive: true, force: true, maxRetries: 10, retryDelay: 100 };
  for (const folder of folders.splice(0)) rmSync(folder, options);
}
