import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QdyloraError } from '@qdylora/contract';
import { memoryByteSource, openByteSource } from '../../read/byte-source.ts';
import { cpuStopwatch } from '../../test-support/cpu-stopwatch.ts';
import { errorOf } from '../../test-support/error-of.ts';
import { fixturePath } from '../../test-support/fixture-path.ts';
import {
  ggufBytes,
  text,
  texts,
  u32,
  u32s,
  type GgufKey,
  type GgufParts,
  type GgufTensorInfo,
} from '../../test-support/gguf-bytes.ts';
import { temporaryFolder } from '@qdylora/testing/node';
import { readGguf } from './read-gguf.ts';

const parse = (bytes: Uint8Array) => readGguf(memoryByteSource(bytes, 'evil.gguf'));
const tensor = (parts: Partial<GgufTensorInfo> = {}): GgufTensorInfo => ({
  name: 'w',
  sizes: [8],
  type: 0,
  offset: 0,
  ...parts,
});
const array = (elementType: number, length: number | bigint): GgufKey => [
  'a',
  9,
  [{ u32: elementType }, { u64: length }],
];
const nested = (depth: number): GgufKey => [
  'a',
  9,
  Array.from({ length: depth }, () => [{ u32: 9 }, { u64: 1 }]).flat(),
];
const HUGE = 2n ** 63n;
const LARGEST = 2n ** 64n - 1n;

const ATTACKS: readonly (readonly [string, GgufParts, RegExp])[] = [
  ['other magic bytes', { magic: 'GGJT' }, /must begin with the four bytes GGUF \(got "GGJT"/],
  ['version 1', { version: 1 }, /version must be 2 or 3 \(got 1/],
  ['version 4', { version: 4 }, /version must be 2 or 3 \(got 4/],
  [
    'a big-endian file',
    { version: 0x03000000 },
    /\(got a big-endian file\)\. Turn its bytes round with gguf-convert-endian/,
  ],
  [
    '2^63 tensors',
    { tensorCount: HUGE },
    /the number of tensors must be .*at most 65536 \(got 9223372036854775808/,
  ],
  ['2^63 keys', { keyCount: HUGE }, /the number of metadata keys/],
  ['more tensors than there are', { tensorCount: 1 }, /for the length of a tensor name/],
  ['more keys than there are', { keyCount: 1 }, /for the length of a metadata key/],
  [
    'a string of 2^64 − 1 bytes',
    { keys: [['a', 8, [{ u64: LARGEST }]]] },
    /the value of "a" must be .*at most 67108864 bytes \(got 1844674407370955/,
  ],
  [
    'a string longer than the file',
    { keys: [['a', 8, [{ u64: 1000 }]]] },
    /1000 bytes are needed for the value of "a"/,
  ],
  [
    'a string longer than a header may be',
    { keys: [['a', 8, [{ u64: 2 ** 40 }]]] },
    /the value of "a" must be at most 67108864 bytes/,
  ],
  [
    'invalid UTF-8',
    { keys: [['a', 8, [{ u64: 1 }, { raw: Uint8Array.of(0xff) }]]] },
    /the value of "a" .* must be valid UTF-8/,
  ],
  [
    'a key longer than 64 KiB',
    { keys: [u32('k'.repeat(65_536), 1)] },
    /a metadata key must be at most 65535 bytes/,
  ],
  ['a key twice', { keys: [u32('a', 1), u32('a', 1)] }, /the key "a" occurs twice/],
  [
    'an unknown metadata type',
    { keys: [['a', 13, [{ u32: 0 }]]] },
    /the value of "a" must be .*metadata type from 0 to 12 \(got 13/,
  ],
  ['an array inside an array', { keys: [nested(2)] }, /got an array inside an array/],
  ['a bomb of nested arrays', { keys: [nested(100_000)] }, /got an array inside an array/],
  ['an array of 2^63 numbers', { keys: [array(0, HUGE)] }, /the length of "a" must be at most 4194304/],
  [
    'an array longer than the file',
    { keys: [array(8, 4_000_000)] },
    /the value of "a" needs at least 32000000 bytes, but only 0 are left/,
  ],
  ['a truth value of 2', { keys: [['a', 7, [{ u8: 2 }]]] }, /the value of "a" must be .*0 or 1 \(got 2/],
  [
    'alignment 0',
    { keys: [u32('general.alignment', 0)] },
    /general.alignment must be .*power of two up to 65536 \(got 0/,
  ],
  ['alignment 3', { keys: [u32('general.alignment', 3)] }, /got 3/],
  ['alignment 2^31', { keys: [u32('general.alignment', 2 ** 31)] }, /got 2147483648/],
  ['alignment as text', { keys: [text('general.alignment', '32')] }, /got 32/],
  ['five dimensions', { tensors: [tensor({ sizes: [1, 1, 1, 1, 8] })] }, /"w" has 5 dimensions, more than 4/],
  ['2^32 − 1 dimensions', { tensors: [tensor({ dimensions: 2 ** 32 - 1 })] }, /dimensions, more than 4/],
  ['a dimension of 2^63', { tensors: [tensor({ sizes: [HUGE] })] }, /a dimension of "w" must be/],
  [
    'a product that wraps to zero in 64 bits',
    { tensors: [tensor({ sizes: [2 ** 32, 2 ** 32] })] },
    /"w" has a size of 2\^53 bytes or more: F32 \[4294967296, 4294967296\]/,
  ],
  [
    'a size in bytes that wraps',
    { tensors: [tensor({ sizes: [2 ** 51], type: 28 })] },
    /size of 2\^53 bytes or more/,
  ],
  [
    'an unknown tensor type',
    { tensors: [tensor({ type: 4 })] },
    /the type of "w" must be one of F32, F16, Q4_0.* \(got number 4/,
  ],
  [
    'a tensor type that only another reader has',
    { tensors: [tensor({ type: 9, sizes: [32] })] },
    /got number 9/,
  ],
  ['a negative tensor type', { tensors: [tensor({ type: 2 ** 32 - 1 })] }, /got number 4294967295/],
  [
    'rows that are no whole blocks',
    { tensors: [tensor({ type: 2, sizes: [33] })] },
    /"w" \(Q4_0\) must have rows of a multiple of 32 \(got 33/,
  ],
  [
    'a tensor twice',
    { tensors: [tensor(), tensor({ offset: 32 })], data: 64 },
    /the tensor "w" occurs twice/,
  ],
  [
    'a tensor name of 256 bytes',
    { tensors: [tensor({ name: 'n'.repeat(256) })] },
    /a tensor name must be at most 255 bytes/,
  ],
  [
    'an offset off the alignment',
    { tensors: [tensor({ offset: 1 })], data: 64 },
    /at byte 0 of the data \(got 1/,
  ],
  [
    'an offset outside the file',
    { tensors: [tensor({ offset: 2 ** 50 })], data: 64 },
    /at byte 0 of the data/,
  ],
  ['an offset of 2^63', { tensors: [tensor({ offset: HUGE })], data: 64 }, /the offset of "w" must be/],
  [
    'tensors over each other',
    { tensors: [tensor(), tensor({ name: 'v' })], data: 64 },
    /"v" \(F32 \[8\]\) must begin at byte 32 of the data \(got 0/,
  ],
  [
    'a hole between tensors',
    { tensors: [tensor(), tensor({ name: 'v', offset: 64 })], data: 128 },
    /at byte 32 of the data \(got 64/,
  ],
  [
    'a tensor past the end',
    { tensors: [tensor({ sizes: [9] })], data: 32 },
    /"w" \(F32 \[9\]\) has 36 bytes, but the file has only 32/,
  ],
  ['no data at all', { tensors: [tensor()] }, /"w" .*has 32 bytes, but the file has only/],
];

it('arrays that are left out hide nothing that stands after them', () => {
  const keys = [
    text('x', 'y'),
    texts('t.words', ['', 'a', 'b'.repeat(2 ** 18 + 5), 'ü']),
    u32s(
      't.many',
      Array.from({ length: 70_000 }, (_, i) => i),
    ),
    u32s('kept', [7]),
    u32('t.number', 3),
  ];
  const bytes = ggufBytes({ keys, tensors: [tensor()], data: 32 });
  const whole = parse(bytes);
  const walked = readGguf(memoryByteSource(bytes), { leavesOut: (key) => key.startsWith('t.') });
  expect(walked.tensors).toEqual(whole.tensors);
  expect([...walked.metadata]).toEqual(
    [...whole.metadata].filter(([key]) => !['t.words', 't.many'].includes(key)),
  );
});

it(
  'as many strings as a vocabulary has are left out like few, wherever a string falls in what is read at ' +
    'a time',
  () => {
    for (const longest of [1, 37, 2 ** 16]) {
      const words = Array.from({ length: Math.ceil(2 ** 21 / (longest + 9)) }, (_, i) =>
        'w'.repeat((i * i) % (longest + 1)),
      );
      const bytes = ggufBytes({
        keys: [texts('t.words', words), u32('kept', 7), texts('t.merges', words), text('last', 'ü')],
        tensors: [tensor()],
        data: 32,
      });
      expect([
        ...readGguf(memoryByteSource(bytes), { leavesOut: (key) => key.startsWith('t.') }).metadata,
      ]).toEqual([
        ['kept', 7],
        ['last', 'ü'],
      ]);
    }
  },
);

it.each([
  ['a string', [{ u64: 5 }, { text: '' }]],
  ['strings', [{ u64: 2 ** 40 }, { u64: 0 }]],
] as const)(
  'an array of %s that the file is too short for is a BAD_FILE error, left out or not',
  (_, value) => {
    const bytes = ggufBytes({ keys: [['a', 9, [{ u32: 8 }, { u64: 2 }, ...value]]] });
    for (const leavesOut of [() => true, () => false])
      expect(errorOf(() => readGguf(memoryByteSource(bytes), { leavesOut }), 'BAD_FILE').message).toMatch(
        /the value of "a"/,
      );
  },
);

describe('a hostile GGUF file', () => {
  it.each(ATTACKS)('%s is a BAD_FILE error', (_, parts, message) => {
    const bytes = ggufBytes(parts);
    const elapsed = cpuStopwatch();
    const error = errorOf(() => parse(bytes), 'BAD_FILE');
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^\[gguf\] evil\.gguf: /);
    expect(elapsed()).toBeLessThan(1000);
  });

  it('that is empty or shorter than its header is a BAD_FILE error', () => {
    for (let length = 0; length < 24; length++)
      errorOf(() => parse(ggufBytes({}).subarray(0, length)), 'BAD_FILE');
    expect(parse(ggufBytes({})).tensors.size).toBe(0);
  });

  it('of many small arrays cannot pass the limit on elements', () => {
    const keys = Array.from({ length: 5 }, (_, i): GgufKey => [
      `k${i}`,
      9,
      [{ u32: 0 }, { u64: 1_000_000 }, { raw: new Uint8Array(1_000_000) }],
    ]);
    expect(errorOf(() => parse(ggufBytes({ keys })), 'BAD_FILE').message).toMatch(
      /all metadata arrays together have more than 4194304 elements, at "k4"/,
    );
  });

  it('of a tebibyte whose header never ends is refused by the header limit', () => {
    const path = join(temporaryFolder(), 'sparse.gguf');
    const fd = openSync(path, 'w');
    writeSync(fd, ggufBytes({ keyCount: 60_000, keys: [['a', 8, [{ u64: 60_000_000 }]]] }));
    ftruncateSync(fd, 2 ** 40);
    closeSync(fd);
    const source = openByteSource(path, 'gguf');
    const elapsed = cpuStopwatch();
    expect(errorOf(() => readGguf(source), 'BAD_FILE').message).toMatch(
      /the key "" occurs twice|the header has more than 67108864 bytes/,
    );
    expect(elapsed()).toBeLessThan(1000);
    source.close();
  });

  it('cut short anywhere, or with flipped bits, is a typed error or a valid file', () => {
    const whole = readFileSync(fixturePath('gguf/llama-mixed.gguf'));
    const header = whole.subarray(0, 12_000);
    const tryParse = (bytes: Uint8Array): void => {
      try {
        parse(bytes);
      } catch (error) {
        expect(QdyloraError.isInstance(error)).toBe(true);
      }
    };
    for (let length = 0; length < header.length; length += 7)
      expect(() => parse(whole.subarray(0, length))).toThrow(QdyloraError);
    fc.assert(
      fc.property(fc.array(fc.nat(header.length * 8 - 1), { minLength: 1, maxLength: 4 }), (bits) => {
        const copy = Uint8Array.from(whole);
        for (const bit of bits) copy[bit >> 3] ^= 1 << (bit & 7);
        tryParse(copy);
      }),
      { numRuns: 200 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (tail) =>
        tryParse(Uint8Array.from([...whole.subarray(0, 8), ...tail])),
      ),
      { numRuns: 200 },
    );
  });
});
