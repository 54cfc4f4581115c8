import { describe, expect, it } from 'vitest';
import { cpuStopwatch } from '../test-support/cpu-stopwatch.ts';
import { errorOf } from '../test-support/error-of.ts';
import { safetensorsBytes } from '../test-support/safetensors-bytes.ts';
import { memoryByteSource } from '../read/byte-source.ts';
import { safetensorsOf } from './open-safetensors.ts';
import { readSafetensorsHeader } from './read-header.ts';

const parse = (bytes: Uint8Array) => readSafetensorsHeader(memoryByteSource(bytes, 'evil.safetensors'));
const entry = (begin: number, end: number, shape: readonly unknown[] = [end - begin], dtype = 'U8') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

/** Name of the attack, the file, and what the message must say. */
const ATTACKS: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['an empty file', new Uint8Array(0), /at least 8 bytes for the length of the header \(got 0/],
  ['seven bytes', new Uint8Array(7), /at least 8 bytes/],
  [
    'a header longer than the file',
    safetensorsBytes({}, 0, 1000),
    /the header has 1000 bytes, but the file has only 2/,
  ],
  [
    'a header length of 2^64 − 1',
    safetensorsBytes({}, 0, 2n ** 64n - 1n),
    /the header has 18446744073709551615 bytes, more than the limit of 100000000/,
  ],
  [
    'a header length one past the limit',
    safetensorsBytes({}, 0, 100_000_001),
    /more than the limit of 100000000/,
  ],
  ['a header length of zero', safetensorsBytes('', 0), /must begin with \{/],
  ['white space before the brace', safetensorsBytes(' {}'), /must begin with \{/],
  ['a byte-order mark', safetensorsBytes('\ufeff{}'), /must begin with \{/],
  ['a list at the top', safetensorsBytes('[]'), /must begin with \{/],
  [
    'a bomb of brackets',
    safetensorsBytes(`{"a":${'['.repeat(1_000_000)}`),
    /the next character must be \{ \(got \[\)/,
  ],
  [
    'a bomb of shapes',
    safetensorsBytes(`{"a":{"shape":${'['.repeat(1_000_000)}`),
    /each number of the shape must be a whole number from 0 to 2\^53 − 1 \(got .* of the entry "a"/,
  ],
  ['text after the header', safetensorsBytes('{} x'), /only spaces may follow the header \(got byte 120/],
  ['a NUL after the header', safetensorsBytes('{}\0'), /only spaces may follow the header \(got byte 0/],
  [
    'a header that stops',
    safetensorsBytes('{"a":{"dtype":"U8"'),
    /the next character must be \} \(got the end\)/,
  ],
  ['a name that stops', safetensorsBytes('{"a'), /closing quote/],
  ['a name that stops in an escape', safetensorsBytes('{"a\\'), /closing quote/],
  [
    'a trailing comma',
    safetensorsBytes('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},}'),
    /a tensor name must be a string/,
  ],
  [
    'invalid UTF-8 in a name',
    safetensorsBytes(Buffer.concat([Buffer.from('{"a'), Buffer.from([0xff]), Buffer.from('":{}}')])),
    /a tensor name is not valid UTF-8/,
  ],
  [
    'overlong UTF-8 in a name',
    safetensorsBytes(Buffer.concat([Buffer.from('{"a'), Buffer.from([0xc0, 0x80]), Buffer.from('":{}}')])),
    /a tensor name is not valid UTF-8/,
  ],
  ['a lone surrogate in a name', safetensorsBytes('{"\\ud800":{}}'), /a tensor name has a lone surrogate/],
  ['a wrong escape in a name', safetensorsBytes('{"\\x41":{}}'), /a tensor name has an invalid escape/],
  [
    'a raw line end in a name',
    safetensorsBytes('{"a\nb":{}}'),
    /a tensor name has an unescaped control character \(byte 10\)/,
  ],
  [
    'a name of 64 KiB and one',
    safetensorsBytes(`{"${'a'.repeat(65_537)}":{}}`),
    /a tensor name must be at most 65536 bytes/,
  ],
  [
    'a tensor twice',
    safetensorsBytes({ a: entry(0, 1), b: entry(1, 2) }, 2).map((byte, i, all) =>
      byte === 0x62 && all[i - 1] === 0x22 ? 0x61 : byte,
    ),
    /the tensor "a" occurs twice/,
  ],
  [
    'a tensor twice, once escaped',
    safetensorsBytes(
      '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},' +
        '"\\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
    ),
    /"a" occurs twice/,
  ],
  [
    'a field twice',
    safetensorsBytes('{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
    /field dtype of "a" occurs twice/,
  ],
  [
    '__metadata__ twice',
    safetensorsBytes('{"__metadata__":{},"__metadata__":{}}'),
    /__metadata__ occurs twice/,
  ],
  [
    'a metadata key twice',
    safetensorsBytes('{"__metadata__":{"k":"1","k":"2"}}'),
    /"k" of __metadata__ occurs twice/,
  ],
  [
    'a number in __metadata__',
    safetensorsBytes({ __metadata__: { k: 1 } }),
    /__metadata__\["k"\] must be a string \(got 1/,
  ],
  [
    'a record in __metadata__',
    safetensorsBytes({ __metadata__: { k: {} } }),
    /__metadata__.* must be a string/,
  ],
  [
    '__metadata__ that is null',
    safetensorsBytes({ __metadata__: null }),
    /the next character must be \{ \(got n\)/,
  ],
  [
    'an unknown field',
    safetensorsBytes({ a: { ...entry(0, 1), strides: [1] } }, 1),
    /"a" must have dtype, shape and data_offsets \(got "strides"/,
  ],
  [
    'a missing field',
    safetensorsBytes({ a: { dtype: 'U8', shape: [1] } }, 1),
    /"a" must have dtype, shape and two data_offsets/,
  ],
  [
    'one offset',
    safetensorsBytes({ a: { dtype: 'U8', shape: [1], data_offsets: [0] } }, 1),
    /"a" must have .* two data_offsets/,
  ],
  [
    'three offsets',
    safetensorsBytes({ a: { dtype: 'U8', shape: [1], data_offsets: [0, 1, 2] } }, 1),
    /more than 2 numbers/,
  ],
  [
    'an unknown dtype',
    safetensorsBytes({ a: entry(0, 1, [1], 'F128') }, 1),
    /the dtype of "a" \(F128 \[1\]\) must be one of BOOL, .* U64 \(got "F128"/,
  ],
  [
    'a dtype from the prototype',
    safetensorsBytes({ a: entry(0, 1, [1], 'constructor') }, 1),
    /the dtype of .* must be one of/,
  ],
  [
    'a dtype called __proto__',
    safetensorsBytes({ a: entry(0, 1, [1], '__proto__') }, 1),
    /the dtype of .* must be one of/,
  ],
  [
    'a negative offset',
    safetensorsBytes({ a: entry(-1, 1) }, 1),
    /data_offsets must be a whole number from 0 to 2\^53 − 1 \(got "-1"\), at byte \d+ of the entry "a"/,
  ],
  ['a fraction', safetensorsBytes('{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', 1), /got "1.0"/],
  [
    'an exponent',
    safetensorsBytes('{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}', 1),
    /got "1e0"/,
  ],
  [
    'a leading zero',
    safetensorsBytes('{"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}}', 1),
    /got "01"/,
  ],
  [
    'a number beyond 2^53',
    safetensorsBytes('{"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,1]}}', 1),
    /got "9007199254740993"/,
  ],
  [
    'a number of a thousand digits',
    safetensorsBytes(`{"a":{"dtype":"U8","shape":[${'9'.repeat(1000)}],"data_offsets":[0,1]}}`, 1),
    /whole number from 0/,
  ],
  ['a string for a number', safetensorsBytes({ a: entry(0, 1, ['1']) }, 1), /whole number from 0/],
  [
    'an infinite number',
    safetensorsBytes('{"a":{"dtype":"U8","shape":[1e400],"data_offsets":[0,1]}}', 1),
    /got "1e400"/,
  ],
  [
    'seventeen dimensions',
    safetensorsBytes({ a: entry(0, 1, new Array(17).fill(1)) }, 1),
    /the shape of .* has more than 16 numbers/,
  ],
  [
    'a product beyond 2^53',
    safetensorsBytes({ a: entry(0, 1, [4294967296, 4294967296]) }, 1),
    /bits, more than 2\^53/,
  ],
  [
    'a product that wraps to zero in 64 bits',
    safetensorsBytes({ a: entry(0, 0, [4294967296, 4294967296, 2], 'F64') }),
    /bits, more than 2\^53/,
  ],
  [
    'half a byte',
    safetensorsBytes({ a: entry(0, 1, [3], 'F4') }, 1),
    /"a" \(F4 \[3\]\) must have whole bytes \(got 12 bits/,
  ],
  [
    'end before begin',
    safetensorsBytes({ a: { dtype: 'U8', shape: [1], data_offsets: [1, 0] } }, 1),
    /data_offsets of .* must rise/,
  ],
  [
    'a shape of another size',
    safetensorsBytes({ a: entry(0, 4, [3], 'F32') }, 4),
    /"a" \(F32 \[3\]\) has 12 bytes, but .* 4/,
  ],
  [
    'a hole',
    safetensorsBytes({ a: entry(0, 1), b: entry(2, 3) }, 3),
    /"b" must begin at byte 1 of the data \(got 2, a hole\)/,
  ],
  ['a hole at the start', safetensorsBytes({ a: entry(1, 2) }, 2), /begin at byte 0 of the data \(got 1/],
  [
    'an overlap',
    safetensorsBytes({ a: entry(0, 2), b: entry(1, 3) }, 3),
    /more than 3 bytes together, at "b" \(an overlap\)/,
  ],
  [
    'an overlap that a hole makes up for',
    safetensorsBytes({ a: entry(0, 2), b: entry(1, 3) }, 4),
    /begin at byte 2 of the data \(got 1, an overlap\)/,
  ],
  ['the same bytes twice', safetensorsBytes({ a: entry(0, 2), b: entry(0, 2) }, 2), /an overlap/],
  [
    'bytes that belong to nobody',
    safetensorsBytes({ a: entry(0, 1) }, 2),
    /the tensors have 1 bytes, but the file has 2/,
  ],
  [
    'bytes that are missing',
    safetensorsBytes({ a: entry(0, 2) }, 1),
    /"a" \(U8 \[2\]\) has 2 bytes, but .* 1/,
  ],
];

describe('a hostile header', () => {
  it.each(ATTACKS)('%s is a BAD_FILE error that names the file and what came', (_, bytes, message) => {
    const elapsed = cpuStopwatch();
    const error = errorOf(() => parse(bytes), 'BAD_FILE');
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^\[safetensors\] evil\.safetensors: .*npx qdylora inspect/s);
    expect(elapsed()).toBeLessThan(1000);
  });

  it('a hundred thousand tensors over the same bytes are refused, fast', () => {
    const entries = Array.from(
      { length: 100_000 },
      (_, i) => `"t${i}":{"dtype":"U8","shape":[1000],"data_offsets":[0,1000]}`,
    );
    const bytes = safetensorsBytes(`{${entries.join(',')}}`, 1000);
    const elapsed = cpuStopwatch();
    expect(errorOf(() => parse(bytes), 'BAD_FILE').message).toMatch(/overlap/);
    expect(elapsed()).toBeLessThan(1000);
  });

  it('more than a million tensors are refused', () => {
    const one = ':{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
    const bytes = safetensorsBytes(`{${`"a"${one},`.repeat(1_000_001)}}`);
    const elapsed = cpuStopwatch();
    expect(errorOf(() => parse(bytes), 'BAD_FILE').message).toMatch(/more than 1000000 tensors/);
    expect(elapsed()).toBeLessThan(1000);
  });

  it('more than a million tensors are refused, however some of their keys are spelled', () => {
    const entries = Array.from({ length: 1_000_001 }, (_, i) => {
      const offsets = i < 1_000_000 ? 'data_offsets' : 'data\\u005foffsets';
      return `"${i}":{"dtype":"U8","shape":[0],"${offsets}":[0,0]}`;
    });
    const bytes = safetensorsBytes(`{${entries.join(',')}}`);
    expect(errorOf(() => parse(bytes), 'BAD_FILE').message).toMatch(/more than 1000000 tensors/);
  });

  it('fifty megabytes of metadata are read, and refused where they stop, within a second', () => {
    const bytes = safetensorsBytes(`{"__metadata__":{"k":"${'x'.repeat(50_000_000)}`);
    const elapsed = cpuStopwatch();
    expect(errorOf(() => parse(bytes), 'BAD_FILE').message).toMatch(/closing quote/);
    expect(elapsed()).toBeLessThan(1000);
  });
});

describe('a header as the format allows it', () => {
  it('the empty file of sixteen bytes has no tensors', () => {
    expect(parse(safetensorsBytes('{}      ')).tensors.size).toBe(0);
  });

  it('scalars, zero sizes, white space, escapes and any order of tensors are read', () => {
    const header =
      '{ "b" : {"data_offsets":[4,8],"shape":[ ' +
      '],\n"dtype":"F32"},"\\u00e9\\n":{"dtype":"I64","shape":[0,9007199254740991],"data_offsets":[4,4]},' +
      '"":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]} }  ';
    const { tensors, dataStart } = parse(safetensorsBytes(header, 8));
    expect([...tensors.keys()]).toEqual(['b', 'é\n', '']);
    expect(tensors.get('b')).toEqual({ name: 'b', dtype: 'F32', shape: [], begin: 4, end: 8 });
    expect(dataStart).toBe(8 + Buffer.byteLength(header));
  });

  it('a tensor and a metadata key called __proto__ stay data', () => {
    const { tensors, metadata } = parse(
      safetensorsBytes(
        '{"__metadata__":{"__proto__":"x"},"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        1,
      ),
    );
    expect([tensors.get('__proto__')?.shape, metadata.get('__proto__')]).toEqual([[1], 'x']);
    expect(({} as Record<string, unknown>).dtype).toBeUndefined();
  });

  it('tensors narrower than a byte are sized by bits', () => {
    expect(parse(safetensorsBytes({ a: entry(0, 3, [4], 'F6_E2M3') }, 3)).tensors.get('a')?.end).toBe(3);
  });
});

describe('reading values', () => {
  const file = (dtype: string, bytes: ArrayBufferView, count: number) =>
    safetensorsOf(
      memoryByteSource(
        safetensorsBytes({ w: entry(0, bytes.byteLength, [count], dtype) }, new Uint8Array(bytes.buffer)),
      ),
    ).tensors.get('w')!;

  it('bfloat16, float16 and float64 widen to float32, NaN and ±0 included', () => {
    expect(file('BF16', Uint16Array.of(0x3f80, 0x8000, 0x7f80), 3).readFloat32()).toEqual(
      Float32Array.of(1, -0, Infinity),
    );
    expect(file('F16', Uint16Array.of(0x3c00, 0x8000, 0x0001, 0x7e00), 4).readFloat32()).toEqual(
      Float32Array.of(1, -0, 2 ** -24, NaN),
    );
    expect(file('F64', Float64Array.of(0.1, 1e300), 2).readFloat32()).toEqual(Float32Array.of(0.1, Infinity));
  });

  it('a tensor longer than one piece is widened whole', () => {
    const count = 2 ** 19 + 3;
    const halves = Uint16Array.from({ length: count }, (_, i) => i & 0x7f7f);
    const values = file('BF16', halves, count).readFloat32();
    expect(new Uint32Array(values.buffer).every((bits, i) => bits === halves[i] << 16)).toBe(true);
  });

  it('integers are not quietly taken for floats', () => {
    expect(errorOf(() => file('U8', Uint8Array.of(1), 1).readFloat32(), 'UNSUPPORTED').message).toMatch(
      /"w" is U8, which cannot be read as float32\. Supported: F32, F16, BF16, F64/,
    );
  });

  it('bytes outside the tensor are refused', () => {
    const tensor = file('U8', Uint8Array.of(1, 2, 3), 3);
    const two = new Uint8Array(2);
    tensor.readInto(two, 1);
    expect(two).toEqual(Uint8Array.of(2, 3));
    errorOf(() => tensor.readInto(two, 2), 'BAD_ARGUMENT');
    errorOf(() => tensor.readInto(two, -1), 'BAD_ARGUMENT');
  });
});
