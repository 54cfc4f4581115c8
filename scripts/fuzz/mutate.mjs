// Small accidents to bytes and to JSON documents, all from one seeded generator.

/** mulberry32: small, seeded, good enough to choose bytes. */
export function randomOf(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return { below: (n) => next() % Math.max(1, n), pick: (list) => list[next() % list.length] };
}

const NUMBERS = [
  0,
  1,
  2,
  3,
  5,
  7,
  31,
  32,
  33,
  255,
  256,
  65535,
  65536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 53,
  2 ** 53 + 2,
];

/** Words that a text reader may trip over. */
export const TOKENS = [
  'null',
  '-1',
  '1e308',
  '1e999',
  '0.5',
  '"',
  '{',
  '}',
  '[',
  ']',
  '[]',
  '{}',
  ':',
  ',',
  '"__proto__"',
  '"constructor"',
  'true',
  '"../../x"',
  '"\\ud800"',
  '9007199254740993',
  '"'.padEnd(3000, 'a'),
];

/** A changed copy: one to four small accidents, most of them near the start, where headers are. */
export function mutated(bytes, random, corpus, isText) {
  let out = Buffer.from(bytes);
  for (let times = 1 + random.below(4); times > 0; times--) {
    const room = random.below(4) === 0 ? out.length : Math.min(out.length, 4096);
    const at = random.below(room);
    const width = 1 + random.below(64);
    const changes = [
      () => {
        if (out.length > 0) out[at] ^= 1 << random.below(8);
      },
      () => {
        if (out.length > 0) out[at] = random.below(256);
      },
      () => {
        out = out.subarray(0, at);
      },
      () => {
        out = Buffer.concat([out.subarray(0, at), out.subarray(at + width)]);
      },
      () => {
        out = Buffer.concat([out.subarray(0, at), out.subarray(at, at + width), out.subarray(at)]);
      },
      () => {
        const other = random.pick(corpus);
        const from = random.below(other.length);
        out = Buffer.concat([
          out.subarray(0, at),
          other.subarray(from, from + 1024),
          out.subarray(at + width),
        ]);
      },
      () => {
        if (isText)
          out = Buffer.concat([
            out.subarray(0, at),
            Buffer.from(random.pick(TOKENS)),
            out.subarray(at + random.below(8)),
          ]);
        else if (at + 8 <= out.length) out.writeBigUInt64LE(BigInt(random.pick(NUMBERS)), at);
      },
      () => {
        if (isText)
          out = Buffer.from(
            out
              .toString('utf8')
              .replace(/\d+/g, (number) => (random.below(20) === 0 ? String(random.pick(NUMBERS)) : number)),
          );
        else if (at + 4 <= out.length) out.writeUInt32LE(random.pick(NUMBERS) % 2 ** 32, at);
      },
    ];
    random.pick(changes)();
  }
  return Buffer.from(out);
}

const VALUES = [
  null,
  true,
  false,
  0,
  -1,
  0.5,
  1e308,
  2 ** 53,
  2 ** 31,
  '',
  'x',
  '../../x',
  'a'.repeat(3000),
  '(a+)+$',
  [],
  {},
  [[]],
  [null],
  { a: { b: [1] } },
  JSON.parse('{"__proto__":{"x":1}}'),
];

/**
 * A JSON document with one to three values changed, gone, doubled or under another key: most byte accidents
 * are no JSON any more.
 */
export function mutatedJson(bytes, random) {
  let document;
  try {
    document = JSON.parse(bytes.toString('utf8'));
  } catch {
    return bytes;
  }
  const value = () => structuredClone(random.pick(VALUES)); // a copy: what is put in may be changed next
  for (let times = 1 + random.below(3); times > 0; times--) {
    let at = document;
    for (let depth = random.below(5); depth > 0; depth--) {
      const inner = Object.values(at ?? {}).filter((one) => typeof one === 'object' && one !== null);
      if (inner.length > 0) at = random.pick(inner);
    }
    if (typeof at !== 'object' || at === null) continue;
    const key = random.pick([...Object.keys(at), 'extra']);
    random.pick([
      () => {
        at[key] = value();
      },
      () => {
        delete at[key];
      },
      () => {
        at[random.pick(Object.keys(at))] = structuredClone(at[key]);
      },
      () => {
        at[key] = typeof at[key] === 'number' ? random.pick(NUMBERS) : value();
      },
    ])();
  }
  return Buffer.from(JSON.stringify(document));
}
