import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const folders: string[] = [];

// Each test file has its own copy of this module, so this runs at that file's end.
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder in `parent` that goes away when the test file ends. */
export function temporaryFolder(parent = tmpdir()): string {
  folders.push(mkdtempSync(join(parent, 'qdylora-test-')));
  return folders.at(-1)!;
}
