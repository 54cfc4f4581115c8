import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const script = fileURLToPath(new URL('../scripts/stream-large-file.mjs', import.meta.url));

interface Measured {
  readonly rows: number;
  readonly fileMegabytes: number;
  readonly openSeconds: number;
  readonly peakMegabytes: number;
  readonly startMegabytes: number;
  readonly rowsRead: number;
  readonly checksum: string;
}

/** A collector that leaves little lying about, so that what is measured is what is kept. */
const EAGER = ['--max-semi-space-size=1', '--max-old-space-size=96'];

const measure = (megabytes: number): Measured =>
  JSON.parse(
    execFileSync(
      process.execPath,
      [
        ...EAGER,
        '--conditions=source',
        '--import',
        import.meta.resolve('tsx'),
        script,
        '--megabytes',
        String(megabytes),
        '--rows',
        '2000',
        '--folder',
        files.folder,
        '--json',
      ],
      { encoding: 'utf8' },
    ),
  ) as Measured;

describe('a streamed file', () => {
  it(
    'of eight times the size takes no more memory, walked, shuffled and read 2,000 times',
    { retry: 2 },
    () => {
      const small = measure(8);
      const large = measure(64);
      expect(large.rows / small.rows).toBeGreaterThan(7);
      expect(large.rowsRead).toBe(2000);
      // what grows is an index of 2.02 bits and 1/64 byte a row; the rest is uncollected garbage
      expect(large.peakMegabytes - small.peakMegabytes).toBeLessThan(32);
      expect(large.peakMegabytes).toBeLessThan(large.startMegabytes + 100);
    },
  );
});
