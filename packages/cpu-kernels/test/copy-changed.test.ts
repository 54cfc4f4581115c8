import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';

const script = new URL('../scripts/copy-changed.mjs', import.meta.url).href;
const { copyChanged } = (await import(script)) as { copyChanged(from: string, to: string): void };

it(
  'a copied source is newer than what was built before if its content is another one, whatever its own ' +
    'time, and as old as it was if not',
  () => {
    const root = temporaryFolder();
    const from = join(root, 'from');
    const to = join(root, 'to');
    const long = new Date('2020-01-01');
    mkdirSync(join(from, 'inner/build'), { recursive: true });
    for (const name of ['same.cpp', 'inner/edited.h', 'gone.h', 'inner/build/x.o'])
      writeFileSync(join(from, name), name);
    copyChanged(from, to);
    writeFileSync(join(from, 'inner/edited.h'), 'edited');
    rmSync(join(from, 'gone.h'));
    mkdirSync(join(to, 'build'));
    writeFileSync(join(to, 'build/y.o'), 'built');
    for (const path of [join(from, 'inner/edited.h'), join(to, 'same.cpp'), join(to, 'inner/edited.h')])
      utimesSync(path, long, long); // edited before a build that ended later
    copyChanged(from, to);
    expect(statSync(join(to, 'same.cpp')).mtime).toEqual(long);
    expect(statSync(join(to, 'inner/edited.h')).mtime > long).toBe(true);
    expect([
      readFileSync(join(to, 'inner/edited.h'), 'utf8'),
      readFileSync(join(to, 'build/y.o'), 'utf8'),
    ]).toEqual(['edited', 'built']);
    for (const name of ['gone.h', 'inner/build'])
      expect(statSync(join(to, name), { throwIfNoEntry: false }), name).toBeUndefined();
  },
);
