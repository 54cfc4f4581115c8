import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { assertNewFolder, writeFolderAtomically } from './atomic-folder.ts';
import { assertCanCreate, createFolder } from './create-folder.ts';

const root = mkdtempSync(join(tmpdir(), 'qdylora-create-'));
afterAll(() => rmSync(root, { recursive: true }));
const noProc = !existsSync('/proc/self/stat');

describe('a folder that is created', () => {
  it('gets its missing parents, and names the first of them', () => {
    const path = join(root, 'deep', 'a', 'b');
    expect(createFolder(path)).toBe(join(root, 'deep'));
    expect(existsSync(path)).toBe(true);
    expect(createFolder(path)).toBeUndefined();
  });

  it('is not left behind by the check that it can be created', () => {
    const parent = join(root, 'checked');
    createFolder(parent);
    assertCanCreate(join(parent, 'x', 'y'));
    expect(readdirSync(parent)).toEqual([]);
  });

  it.for(['/proc/x', '/proc/x/y/z'])(
    'is refused below /proc, where Node never returns: %s',
    (path, { skip }) => {
      skip(noProc, 'needs /proc');
      for (const refused of [assertCanCreate, createFolder, assertNewFolder])
        expect(() => refused(path)).toThrow(/could not be written: ENOENT/);
    },
  );

  it('is refused below /proc before it is filled', async ({ skip }) => {
    skip(noProc, 'needs /proc');
    await expect(
      writeFolderAtomically('/proc/x/y', () => expect.unreachable('nothing is written')),
    ).rejects.toMatchObject({ code: 'WRITE_FAILED' });
  });
});
