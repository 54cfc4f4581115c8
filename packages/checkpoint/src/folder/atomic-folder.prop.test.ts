import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QdyloraError } from '@qdylora/contract';
import { Crash, MemoryFileSystem, POWER_CUTS } from '@qdylora/testing/node';
import { cleanOrphans, discardFolder, writeFolderAtomically } from './atomic-folder.ts';
import { validateFolder } from './manifest.ts';
import { writeFileDurably } from '../write/write-file-durably.ts';

const PARENT = '/runs';
const TARGET = '/runs/checkpoint';

/**
 * Writes the two files of one version of a checkpoint, one of them in an inner folder and not synced by the
 * writer itself.
 */
function save({ fs }: MemoryFileSystem, text: string, replace: boolean): Promise<void> {
  return writeFolderAtomically(
    TARGET,
    (temporary) => {
      writeFileDurably(`${temporary}/weights`, [Buffer.from(text), Buffer.from('!')], fs);
      fs.mkdirSync(`${temporary}/inner`);
      const fd = fs.openSync(`${temporary}/inner/state`, 'wx');
      for (const byte of Buffer.from(text)) fs.writeSync(fd, Uint8Array.of(byte), 0, 1);
      fs.closeSync(fd);
    },
    { replace, fs },
  );
}

/** `absent`, the text of a whole checkpoint, or `torn`. */
function contentOf({ fs }: MemoryFileSystem): string {
  if (!fs.existsSync(TARGET)) return 'absent';
  if (!validateFolder(TARGET, fs).isValid) return 'torn';
  const text = String(fs.readFileSync(`${TARGET}/inner/state`, 'utf8'));
  return String(fs.readFileSync(`${TARGET}/weights`, 'utf8')) === `${text}!` ? text : 'torn';
}

/** A parent that has been there for long, with version `old` in it where asked for. */
async function prepared(old: string | null): Promise<MemoryFileSystem> {
  const memory = new MemoryFileSystem();
  memory.fs.mkdirSync(PARENT, { recursive: true });
  if (old !== null) await save(memory, old, false);
  memory.restart('kept');
  return memory;
}

async function callsToSave(old: string | null): Promise<number> {
  const memory = await prepared(old);
  const before = memory.calls;
  await save(memory, 'new', true);
  return memory.calls - before;
}

describe('a folder that is written atomically', () => {
  it.each([[null], ['old']])(
    'with %s there before: after a power cut at any call it is old, new or absent, and never torn',
    async (old) => {
      const total = await callsToSave(old);
      let checked = 0;
      for (let call = 1; call <= total; call++) {
        for (const cut of POWER_CUTS) {
          for (let seed = 0; seed < (cut === 'mixed' || cut === 'torn' ? 4 : 1); seed++) {
            const memory = await prepared(old);
            memory.failAt(memory.calls + call, 'crash');
            const end: unknown = await save(memory, 'new', true).then(
              () => 'in the very last call',
              (error: unknown) => error,
            );
            expect(end === 'in the very last call' || end instanceof Crash, String(end)).toBe(true);
            memory.restart(cut, seed);
            expect([old ?? 'absent', 'new', 'absent'], `call ${call}, unsynced ${cut}`).toContain(
              contentOf(memory),
            );
            cleanOrphans(PARENT, { fs: memory.fs, startedAt: Infinity });
            expect([old ?? 'absent', 'new'], `call ${call}, unsynced ${cut}, after cleaning`).toContain(
              contentOf(memory),
            );
            expect(memory.fs.readdirSync(PARENT).filter((entry) => entry !== 'checkpoint')).toEqual([]);
            checked++;
          }
        }
      }
      expect(checked).toBeGreaterThan(100);
    },
  );

  it('that is discarded is whole or gone after a power cut; cleaning removes the rest', async () => {
    const whole = await prepared('old');
    const before = whole.calls;
    discardFolder(TARGET, whole.fs);
    for (let call = 1; call <= whole.calls - before; call++) {
      for (const cut of POWER_CUTS) {
        const memory = await prepared('old');
        memory.failAt(memory.calls + call, 'crash');
        expect(() => discardFolder(TARGET, memory.fs)).toThrow(Crash);
        memory.restart(cut, call);
        expect(['old', 'absent'], `call ${call}, unsynced ${cut}`).toContain(contentOf(memory));
        cleanOrphans(PARENT, { fs: memory.fs, startedAt: Infinity });
        expect(memory.fs.readdirSync(PARENT).filter((entry) => entry !== 'checkpoint')).toEqual([]);
      }
    }
  });

  it('once it has returned, a power cut takes nothing away', async () => {
    for (const old of [null, 'old']) {
      const memory = await prepared(old);
      await save(memory, 'new', true);
      memory.restart('lost');
      cleanOrphans(PARENT, { fs: memory.fs, startedAt: Infinity });
      expect(contentOf(memory)).toBe('new');
    }
  });

  it.each(['ENOSPC', 'EIO', 'EDQUOT', 'EROFS', 'EMFILE', 'EFBIG'])(
    '%s at any call is WRITE_FAILED with its cause, or harmless; what was there stays whole and nothing is ' +
      'left over',
    async (code) => {
      for (const old of [null, 'old']) {
        const total = await callsToSave(old);
        for (let call = 1; call <= total; call++) {
          const memory = await prepared(old);
          memory.failAt(memory.calls + call, code);
          const error: unknown = await save(memory, 'new', true).then(
            () => null,
            (cause: unknown) => cause,
          );
          if (error !== null) {
            expect(QdyloraError.isInstance(error) && error.code, `call ${call}: ${String(error)}`).toBe(
              'WRITE_FAILED',
            );
            expect((error as QdyloraError).details.code).toBe(code);
            expect(((error as QdyloraError).cause as { code: string }).code).toBe(code);
          }
          expect(error === null ? ['new'] : [old ?? 'absent', 'new'], `call ${call}`).toContain(
            contentOf(memory),
          );
          const leftOver = memory.fs.readdirSync(PARENT).filter((entry) => entry !== 'checkpoint');
          expect(
            leftOver.every((entry) => String(entry).includes('.old-')),
            leftOver.join(),
          ).toBe(true); // only a failed removal of the old one
        }
      }
    },
  );

  it('a changed byte, a shorter file or a missing one is found', async () => {
    const memory = await prepared('some text');
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('weights', 'inner/state', 'manifest.json'),
        fc.nat(8),
        fc.constantFrom('flip', 'cut', 'remove'),
        async (file, at, how) => {
          const copy = new MemoryFileSystem();
          await save(copy, 'some text', false);
          const path = `${TARGET}/${file}`;
          const bytes = Buffer.from(String(copy.fs.readFileSync(path, 'utf8')));
          copy.fs.rmSync(path);
          if (how === 'flip') bytes[at] ^= 1;
          if (how !== 'remove')
            writeFileDurably(path, [how === 'cut' ? bytes.subarray(0, at) : bytes], copy.fs);
          const state = validateFolder(TARGET, copy.fs);
          expect(state.isValid).toBe(false);
          if (!state.isValid && file !== 'manifest.json')
            expect([state.reason, state.file]).toEqual([
              { flip: 'wrong-hash', cut: 'wrong-size', remove: 'missing-file' }[how],
              file,
            ]);
        },
      ),
      { numRuns: 60 },
    );
    expect(contentOf(memory)).toBe('some text');
  });
});
