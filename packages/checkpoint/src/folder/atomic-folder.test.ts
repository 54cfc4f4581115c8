import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanOrphans, writeFolderAtomically } from './atomic-folder.ts';
import { manifestDamage, validateFolder } from './manifest.ts';
import { rejectionOf } from '../test-support/error-of.ts';
import { machineTag } from '../write/machine-tag.ts';
import { temporaryName } from '../write/temporary-name.ts';
import { temporaryFolder } from '@qdylora/testing/node';

const root = temporaryFolder();
const OTHER_MACHINE = machineTag() === '012345' ? '543210' : '012345';
const writeHello = (temporary: string): void => writeFileSync(join(temporary, 'hello.txt'), 'hello');

describe('writeFolderAtomically', () => {
  it('makes parents, writes the manifest last and leaves nothing else behind', async () => {
    const path = join(root, 'a/b/run');
    await writeFolderAtomically(path, writeHello);
    expect(readdirSync(join(root, 'a/b'))).toEqual(['run']);
    expect(JSON.parse(readFileSync(join(path, 'manifest.json'), 'utf8'))).toEqual({
      format: 'qdylora-folder',
      version: 1,
      files: {
        'hello.txt': { size: 5, sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824' },
      },
    });
    expect(validateFolder(path).isValid).toBe(true);
  });

  it('an empty folder gives way, any other does not, and the error says what to do', async () => {
    const path = join(root, 'taken');
    mkdirSync(path);
    await writeFolderAtomically(path, writeHello);
    const error = await rejectionOf(writeFolderAtomically(path, writeHello), 'NOT_EMPTY');
    expect(error.message).toMatch(
      /taken already exists and is not empty \(2 entries\)\. Choose another folder, or remove this/,
    );
    await writeFolderAtomically(path, (temporary) => writeFileSync(join(temporary, 'bye.txt'), 'bye'), {
      replace: true,
    });
    expect(readdirSync(path).sort()).toEqual(['bye.txt', 'manifest.json']);
  });

  it('a folder that somebody else made is never replaced', async () => {
    const path = join(root, 'home');
    mkdirSync(path);
    writeFileSync(join(path, 'thesis.tex'), 'years of work');
    expect(
      (await rejectionOf(writeFolderAtomically(path, writeHello, { replace: true }), 'NOT_EMPTY')).message,
    ).toMatch(/has no manifest\.json of a finished result/);
    expect(readFileSync(join(path, 'thesis.tex'), 'utf8')).toBe('years of work');
  });

  it('a folder that comes while this one is written stays', async () => {
    const path = join(root, 'meanwhile');
    const write = (temporary: string): void => {
      writeHello(temporary);
      mkdirSync(path);
      writeFileSync(join(path, 'thesis.tex'), 'years of work');
    };
    await rejectionOf(writeFolderAtomically(path, write), 'NOT_EMPTY');
    expect(readdirSync(path)).toEqual(['thesis.tex']);
    expect(readdirSync(root).filter((name) => name.startsWith('meanwhile'))).toEqual(['meanwhile']);
  });

  it('a link to an empty folder stays, and the folder behind it is written', async () => {
    const disk = join(root, 'disk/real');
    mkdirSync(disk, { recursive: true });
    symlinkSync(disk, join(root, 'short'));
    await writeFolderAtomically(join(root, 'short'), writeHello);
    expect(readdirSync(disk).sort()).toEqual(['hello.txt', 'manifest.json']);
    expect(readdirSync(join(root, 'disk'))).toEqual(['real']);
    expect(lstatSync(join(root, 'short')).isSymbolicLink()).toBe(true);
    expect(
      (await rejectionOf(writeFolderAtomically(join(root, 'short'), writeHello), 'NOT_EMPTY')).message,
    ).toMatch(/disk\/real already exists and is not empty \(2 entries\)/);
  });

  it('a link to nothing is refused as what it is', async () => {
    symlinkSync(join(root, 'gone'), join(root, 'dangling'));
    expect(
      (await rejectionOf(writeFolderAtomically(join(root, 'dangling'), writeHello), 'NOT_EMPTY')).message,
    ).toMatch(/dangling is a link to a folder that does not exist\. Create that folder/);
  });

  it('clears what killed writers of the same folder left, and nothing of others', async () => {
    const parent = join(root, 'killed');
    const [ownEnding] = /[0-9a-f]{12}$/.exec(temporaryName('run'))!;
    const otherMachine = '0123456789ab';
    const dead = 4_194_305; // above every pid of Linux
    const others = [
      `run.tmp-${process.ppid}-${ownEnding}`,
      `run.tmp-${dead}-${otherMachine}`,
      `other.tmp-${dead}-${ownEnding}`,
      `run.old-${dead}-${ownEnding}`,
    ];
    for (const name of [`run.tmp-${dead}-${ownEnding}`, ...others])
      mkdirSync(join(parent, name), { recursive: true });
    await writeFolderAtomically(join(parent, 'run'), writeHello);
    expect(readdirSync(parent).sort()).toEqual(['run', ...others].sort());
  });

  it('what the writer throws comes through, and the temporary folder goes', async () => {
    const boom = new RangeError('boom');
    await expect(
      writeFolderAtomically(join(root, 'failed'), () => {
        throw boom;
      }),
    ).rejects.toBe(boom);
    expect(readdirSync(root).filter((name) => name.startsWith('failed'))).toEqual([]);
  });

  it('a link in the folder is refused: its target would not be part of the checkpoint', async () => {
    await rejectionOf(
      writeFolderAtomically(join(root, 'linked'), (temporary) =>
        symlinkSync('/etc/hostname', join(temporary, 'link')),
      ),
      'BAD_ARGUMENT',
    );
  });
});

describe('validateFolder', () => {
  it('a manifest that names files outside, or is none, is bad', async () => {
    const path = join(root, 'manifests');
    expect(validateFolder(path)).toMatchObject({ isValid: false, reason: 'no-folder' });
    mkdirSync(path);
    expect(validateFolder(path)).toMatchObject({ isValid: false, reason: 'no-manifest' });
    const damaged = /manifests is damaged or was written by another program$/;
    expect(manifestDamage(path)).toBeNull();
    for (const [text, problem] of [
      ['', damaged],
      ['[]', damaged],
      [
        '{"format":"qdylora-folder","version":2,"files":{}}',
        /has version 2, but only version 1 is supported/,
      ],
      ['{"format":"qdylora-folder","version":1,"files":{"../x":{"size":1,"sha256":""}}}', /is not inside/],
      ['{"format":"qdylora-folder","version":1,"files":{"x":{"size":-0.5,"sha256":""}}}', damaged],
    ] as const) {
      writeFileSync(join(path, 'manifest.json'), text);
      const state = validateFolder(path);
      expect(state).toMatchObject({ isValid: false, reason: 'bad-manifest' });
      expect(!state.isValid && state.problem).toMatch(problem);
      const damage = manifestDamage(path);
      if (text.includes('../x')) expect(damage).toBeNull();
      else expect(!state.isValid && state.problem).toBe(`The manifest of ${path} ${damage}`);
    }
  });
});

describe('cleanOrphans', () => {
  it('clears leftovers of dead processes and older runs, and nothing else', () => {
    const parent = join(root, 'orphans');
    const dead = 4_194_305; // above every pid of Linux
    const nonce = `${machineTag()}012345`;
    const names = [
      `run.tmp-${dead}-${nonce}`,
      `run.tmp-${process.pid}-${nonce}`,
      `new.tmp-${process.pid}-${nonce}`,
      `alive.tmp-${process.ppid}-${nonce}`,
      `run.tmp-${dead}-${OTHER_MACHINE}012345`,
      'run',
      `x.tmp-${dead}-short`,
    ];
    for (const name of names) mkdirSync(join(parent, name), { recursive: true });
    utimesSync(join(parent, names[1]), 1, 1); // of an older run that had our number
    expect(cleanOrphans(parent)).toEqual({ removed: [names[0], names[1]].sort(), restored: [] });
    expect(readdirSync(parent).sort()).toEqual(names.slice(2).sort());
    expect(cleanOrphans(join(root, 'nowhere'))).toEqual({ removed: [], restored: [] });
  });

  it('brings back an old folder whose replacement never arrived', async () => {
    const parent = join(root, 'restore');
    const old = join(parent, `run.old-4194305-${machineTag()}012345`);
    await writeFolderAtomically(old, writeHello);
    expect(cleanOrphans(parent)).toEqual({ removed: [], restored: ['run'] });
    expect(existsSync(join(parent, 'run/hello.txt'))).toBe(true);
  });

  it('clears what another machine left only where the caller is alone', () => {
    const parent = join(root, 'shared');
    const name = `run.tmp-4194305-${OTHER_MACHINE}012345`;
    mkdirSync(join(parent, name), { recursive: true });
    expect(cleanOrphans(parent).removed).toEqual([]);
    expect(cleanOrphans(parent, { isAlone: true }).removed).toEqual([name]);
  });
});
