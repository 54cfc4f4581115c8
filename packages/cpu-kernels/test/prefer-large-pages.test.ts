import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { preferLargePages } from '../src/index.ts';

const HAVE_LARGE = '/sys/kernel/mm/transparent_hugepage/enabled';

/** Bytes of memory for which the system was asked for large pages. */
const askedBytes = (): number =>
  readFileSync('/proc/self/smaps', 'latin1')
    .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
    .filter((mapping) => /^VmFlags:.* hg\b/m.test(mapping))
    .reduce((sum, mapping) => sum + Number(/^Size: +(\d+) kB/m.exec(mapping)![1]) * 1024, 0);

it('asks for large pages for shared memory, for any part of it, and for nothing', (context) => {
  if (!existsSync(HAVE_LARGE)) return context.skip('needs Linux with transparent huge pages');
  const shared = new Uint8Array(new SharedArrayBuffer(2 ** 26));
  const before = askedBytes();
  preferLargePages(shared);
  expect(askedBytes() - before).toBeGreaterThanOrEqual(shared.length - 2 ** 13);
  for (const part of [shared.subarray(5, 9), shared.subarray(0, 0), shared.subarray(1)])
    preferLargePages(part);
  expect(shared.every((byte) => byte === 0)).toBe(true);
});

it('takes bytes only', () => {
  for (const other of [new Float32Array(4), null, 7])
    expect(() => preferLargePages(other as never)).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
});
