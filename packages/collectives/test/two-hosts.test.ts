import { fileURLToPath } from 'node:url';
import { twoHosts, whyNoTwoHosts, type TwoHosts } from '@qdylora/testing/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const reason = whyNoTwoHosts();
if (reason) console.log(`skipped: two hosts (${reason})`);

const argsOf = (file: string, ...words: readonly string[]): string[] => [
  ...['--conditions=source', '--import', 'tsx', fileURLToPath(new URL(file, import.meta.url)), ...words],
];

const LOST_HOST = /has lost communication with a remote daemon/;
const TIMEOUT = 180_000;

describe.skipIf(reason)('two hosts, joined by a link of 1 Gbit/s with round trips of 10 ms', () => {
  let hosts: TwoHosts;
  beforeAll(async () => {
    hosts = await twoHosts({ megabitsPerSecond: 1000, delayMilliseconds: 5 });
  });
  afterAll(() => hosts[Symbol.dispose]());

  it(
    'run every collective',
    async () => {
      const { status, output } = await hosts.launch(1, argsOf('every-collective.ts')).outcome;
      expect(status, output).toBe(0);
      expect(output.match(/all right/g), output).toHaveLength(2);
    },
    TIMEOUT,
  );

  it(
    'end both when one is lost: its packets vanish, and nobody is told',
    async () => {
      const { child, outcome } = hosts.launch(1, argsOf('lost-host.ts'));
      await new Promise<void>((under) =>
        child.stdout!.on('data', (text) => String(text).includes('under way') && under()),
      );
      const start = performance.now();
      hosts.cut();
      const { output } = await outcome;
      // Open MPI 5 ends with status 0 then, so `qdylora launch` looks for this line
      expect(output).toMatch(LOST_HOST);
      expect(output).not.toContain('not reached');
      expect((performance.now() - start) / 1000).toBeLessThan(60);
    },
    TIMEOUT,
  );
});
