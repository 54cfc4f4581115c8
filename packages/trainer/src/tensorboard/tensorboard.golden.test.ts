import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { eventsOf, tinyTrain } from '../../test/tiny-run.ts';
import { openTensorboard, scalarsOfEvent } from '../index.ts';
import { crc32c } from './crc32c.ts';
import { eventRecord, type EventContent, type EventTime } from './event-record.ts';

/** Made by TensorBoard's own record writer and protocol buffers. */
const golden = {
  bytes: readFileSync(new URL('../../fixtures/tensorboard/events.bin', import.meta.url)),
  ...(JSON.parse(
    readFileSync(new URL('../../fixtures/tensorboard/events.json', import.meta.url), 'utf8'),
  ) as { sha256: string; events: ({ wall_seconds: number; step: number } & EventContent)[] }),
};
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('CRC-32C', () => {
  it.each([
    [new TextEncoder().encode('123456789'), 0xe3069283],
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(255), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    [new Uint8Array(0), 0],
  ])('of %j is what RFC 3720 says', (bytes, want) => {
    expect(crc32c(bytes)).toBe(want);
  });
});

describe('a record', () => {
  it('comes from a golden file that nobody has edited', () => {
    expect(createHash('sha256').update(golden.bytes).digest('hex')).toBe(golden.sha256);
  });

  it('has the bytes that TensorBoard writes for the same event', () => {
    expect(golden.events.length).toBe(6);
    const ours = golden.events.map(({ wall_seconds: wallSeconds, step, ...content }) =>
      eventRecord({ wallSeconds, step } satisfies EventTime, content as EventContent),
    );
    expect(hex(Buffer.concat(ours))).toBe(hex(golden.bytes));
  });
});

/** Records of a file as (step, what kind). Fails where a length does not lead to the next record. */
function recordsIn(path: string): { step: number; content: Buffer }[] {
  const file = readFileSync(path);
  const records: { step: number; content: Buffer }[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(file.readBigUInt64LE(at));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(data.length).toBe(length);
    records.push({ step: data[9] === 0x10 ? data[10] : 0, content: data });
    at += 16 + length;
  }
  return records;
}

const failureOf = (run: () => unknown): Error => {
  try {
    run();
  } catch (error) {
    return error as Error;
  }
  throw new Error('It did not fail.');
};

describe('a log', () => {
  it(
    'begins with version and start, and has a record for every step and evaluation of a run, whole after ' +
      'each write',
    async () => {
      const folder = join(temporaryFolder(), 'a', 'b');
      const log = openTensorboard(folder, { clock: () => 1.7e12 });
      for (const event of await eventsOf(
        tinyTrain({
          totalSteps: 4,
          evaluate: {
            every: 2,
            run: () =>
              Promise.resolve({
                byRank: [
                  { rank: 1, loss: 2 },
                  { rank: 4, loss: 1 },
                ],
                aurac: 0.5,
              }),
          },
        }),
      )) {
        const scalars = scalarsOfEvent(event);
        if (Object.keys(scalars).length > 0) log.write((event as { step: number }).step, scalars);
      }
      const records = recordsIn(log.path);
      expect(records.map(({ step }) => step)).toEqual([0, 1, 1, 2, 2, 3, 4, 4]);
      expect(
        [records[0], records[1]].map(({ content }) => [
          content.includes('brain.Event:2'),
          content.subarray(-4).toString('hex'),
        ]),
      ).toEqual([
        [true, Buffer.from('nt:2').toString('hex')],
        [false, '3a020801'],
      ]);
      expect(
        records[4].content.includes('eval/loss_at_rank/4') &&
          records[4].content.includes('eval/aurac') &&
          records[4].content.includes('eval/best_rank'),
      ).toBe(true);
      expect(/^events\.out\.tfevents\.1700000000\..+\.\d+\.0$/.test(readdirSync(folder)[0])).toBe(true);
    },
  );

  it('never goes into the file of another, and says from which step on it knows better', () => {
    const folder = temporaryFolder();
    const first = openTensorboard(folder, { clock: () => 0 });
    const second = openTensorboard(folder, { startStep: 41, clock: () => 0 });
    expect(first.path).not.toBe(second.path);
    expect(recordsIn(second.path).map(({ step }) => step)).toEqual([0, 42]);
  });

  it('says where it cannot write, and refuses to after its end', () => {
    const folder = temporaryFolder();
    const log = openTensorboard(folder);
    writeFileSync(join(folder, 'file'), '');
    const failure = failureOf(() => openTensorboard(join(folder, 'file')));
    expect(failure).toMatchObject({ code: 'WRITE_FAILED' });
    expect(failure.message).toMatch(/\[tensorboard\] .*file.* could not be written/);
    expect(QdyloraError.isInstance(failure.cause), 'an error in an error').toBe(false);
    log[Symbol.dispose]();
    log[Symbol.dispose]();
    expect(() => log.write(1, {})).toThrow(/disposed/);
  });
});
