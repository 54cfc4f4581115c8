import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { collectGarbage } from './resident-memory.ts';

/**
 * In a process of its own: how much it has before, with, and after 40 MB of small objects, each time garbage
 * aside; and after further collections.
 */
const MODULE = fileURLToPath(new URL('./resident-memory.ts', import.meta.url));
const SCRIPT = `
  import { collectGarbage, residentBytes } from ${JSON.stringify(MODULE)};
  const grown = async () => { // held by a promise until the turn ends, as what loading leaves is
    const row = (_, i) => '{"text":"' + 'x'.repeat(60) + i + '"}';
    const rows = JSON.parse('[' + Array.from({ length: 200_000 }, row).join() + ']');
    await new Promise((resolve) => setTimeout(resolve, 1));
    return [residentBytes(), rows.length][0];
  };
  collectGarbage();
  const before = residentBytes(), most = await grown();
  collectGarbage();
  const after = residentBytes();
  for (let i = 0; i < 3; i++) gc();
  console.log(JSON.stringify({ before, most, after, last: residentBytes() }));
`;

// the system may count pages late
it(
  'what a process has after garbage is collected is what it has after any further collection',
  { retry: 2 },
  async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--expose-gc', '--conditions=source', '--import', 'tsx', '--input-type=module', '-e', SCRIPT],
      { cwd: fileURLToPath(new URL('../../..', import.meta.url)) },
    );
    const { before, most, after, last } = JSON.parse(stdout) as Record<
      'before' | 'most' | 'after' | 'last',
      number
    >;
    expect([most - before > 30e6, after - last < 3e6], stdout).toEqual([true, true]);
  },
);

it('without a `gc` to call, as in Bun, nothing is collected and nothing fails', () => {
  expect(() => collectGarbage(() => null)).not.toThrow();
});
