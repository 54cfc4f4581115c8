import type { DecodeEvent } from '@qdylora/models';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeText, type TextEvent } from './decode-text.ts';
import { createStopFinder } from './stop-finder.ts';
import { createTextDecoder } from './text-decoder.ts';

/** Ids are bytes of UTF-8; 0 is a special token. */
const bytes = {
  decode: (ids: ArrayLike<number>) =>
    new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(ids).filter((id) => id !== 0)),
};

const arbitraryText = fc.string({ unit: 'binary', maxLength: 12 }).filter((text) => !text.includes('\0'));

test('pieces of text are what all ids decode to, cut in the middle of a character too', () => {
  fc.assert(
    fc.property(arbitraryText, fc.nat(4), (text, missing) => {
      const ids = [...new TextEncoder().encode(text)];
      const cut = ids.slice(0, Math.max(0, ids.length - missing));
      const decoder = createTextDecoder(bytes);
      const pieces = cut.map((id) => decoder.push(id).text);
      expect(pieces.join('') + decoder.finish()).toBe(bytes.decode(cut));
    }),
  );
});

test('a text goes on from its prompt, also where a decoder strips the first space', () => {
  /** As SentencePiece: the space before the first word of a text is not written. */
  const words = {
    decode: (ids: ArrayLike<number>) =>
      Array.from(ids, (id) => ['', ' Once', ' upon', ' a', ' time', 's'][id])
        .join('')
        .replace(/^ /, ''),
  };
  const answer = (context: readonly number[]): string => {
    const decoder = createTextDecoder(words, context);
    return [4, 5].map((id) => decoder.push(id).text).join('') + decoder.finish();
  };
  expect(answer([])).toBe('times');
  expect(answer([0, 1, 2, 3])).toBe(' times');
  expect(answer([0, ...Array.from({ length: 20 }, () => 2)])).toBe(' times');
  expect(answer([0])).toBe('times'); // behind a special token a text begins
  // behind the first half of a character nothing tells how a token is written
  const half = createTextDecoder(bytes, [0xc3]);
  expect(half.push(0x61)).toEqual({ text: 'a', begin: 0 });
});

test('a prompt that ends in many bytes or special tokens keeps the first space of its answer', () => {
  const SPECIAL = -1;
  const WORD = -2; // " word", whose space is not written at the beginning of a text
  /** As SentencePiece with byte fallback: a run of bytes that are not UTF-8 is one U+FFFD a byte. */
  const fallback = {
    decode: (ids: ArrayLike<number>) =>
      Array.from(ids)
        .filter((id) => id !== SPECIAL)
        .map((id) => (id === WORD ? ' word' : `<${id}>`))
        .join('')
        .replace(/(?:<\d+>)+/g, (run) => textOfRun([...run.matchAll(/\d+/g)].map(Number)))
        .replace(/^ /, ''),
  };
  const textOfRun = (run: readonly number[]): string => {
    const text = new TextDecoder().decode(Uint8Array.from(run));
    return text.includes('\ufffd') ? '\ufffd'.repeat(run.length) : text;
  };
  const answer = (context: readonly number[]): string => createTextDecoder(fallback, context).push(WORD).text;
  const bytesOf = (text: string): number[] => [...new TextEncoder().encode(text)];
  for (const count of [1, 2, 3, 5, 11, 40]) {
    expect(answer(bytesOf('龘'.repeat(count)))).toBe(' word');
    expect(answer([...bytesOf('x'), ...Array.from({ length: count }, () => SPECIAL)])).toBe(' word');
  }
  expect(answer(Array.from({ length: 40 }, () => SPECIAL))).toBe('word');
});

/** The text before the stop string that begins first, as soon as any is complete. */
function textBefore(pieces: readonly string[], stops: readonly string[]): string {
  let text = '';
  for (const piece of pieces) {
    text += piece;
    const found = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) return text.slice(0, Math.min(...found));
  }
  return text;
}

test('a text ends before its first stop string, and nothing of that was told before', () => {
  const arbitraryStops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 4 }));
  const arbitraryPieces = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 4 }));
  fc.assert(
    fc.property(arbitraryPieces, arbitraryStops, (pieces, stops) => {
      const finder = createStopFinder(stops);
      let text = '';
      let isStopped = false;
      for (const piece of pieces) {
        const step = finder.push(piece);
        text += step.text;
        isStopped = step.isStopped;
        if (isStopped) break;
      }
      expect(isStopped ? text : text + finder.finish()).toBe(textBefore(pieces, stops));
    }),
  );
});

async function* eventsOf(text: string | Uint8Array, onLeave: () => void): AsyncGenerator<DecodeEvent> {
  try {
    yield { type: 'prompt', scores: null, nextScores: null };
    for (const id of typeof text === 'string' ? new TextEncoder().encode(text) : text)
      yield { type: 'token', id, logProbability: -id, top: [] };
    yield { type: 'end', reason: 'length', stopToken: null };
  } finally {
    onLeave();
  }
}

async function textOf(text: string | Uint8Array, stops: string[]) {
  let hasLeft = false;
  const events: TextEvent[] = [];
  for await (const event of decodeText(
    eventsOf(text, () => (hasLeft = true)),
    bytes,
    { stops },
  ))
    events.push(event);
  const pieces = events.flatMap((event) => (event.type === 'text' ? [event] : []));
  return {
    hasLeft,
    text: pieces.map((piece) => piece.text).join(''),
    ids: pieces.flatMap(({ tokens }) => tokens.map(({ id }) => String.fromCharCode(id))).join(''),
    offsets: pieces.flatMap(({ tokens }) => tokens.map(({ offset }) => offset)),
    end: events.at(-1),
  };
}

test('tokens come with the text that begins in them, and none of a stop string', async () => {
  expect(await textOf('hello', [])).toEqual({
    hasLeft: true,
    text: 'hello',
    ids: 'hello',
    offsets: [0, 1, 2, 3, 4],
    end: { type: 'end', reason: 'length', tokens: 5, stopToken: null },
  });
  expect(await textOf('one\nQ: two', ['\nQ:', '!'])).toMatchObject({
    hasLeft: true,
    text: 'one',
    ids: 'one',
    end: { type: 'end', reason: 'stop', tokens: 6 },
  });
  expect(await textOf('one\nQ', ['\nQ:'])).toMatchObject({
    text: 'one\nQ',
    ids: 'one\nQ',
    end: { reason: 'length' },
  });
});

test('a token behind an incomplete character begins behind it: a stop string leaves it out', async () => {
  const half = 0xe4; // first byte of three
  const letter = 'x'.charCodeAt(0);
  expect(await textOf(Uint8Array.of(half, letter, letter), [])).toMatchObject({
    text: '\ufffdxx',
    offsets: [0, 1, 2],
  });
  expect(await textOf(Uint8Array.of(half, letter), ['x'])).toMatchObject({ text: '\ufffd', ids: 'ä' });
  // a token that completes a character begins with it
  expect(await textOf('中x', [])).toMatchObject({ text: '中x', offsets: [0, 0, 0, 1] });
  expect(await textOf(Uint8Array.of(0xff, 0xc3, 0xa9), [])).toMatchObject({
    text: '\ufffdé',
    offsets: [0, 0, 1],
  });
});

test('a special token is written only where it is one of those that are shown', async () => {
  const TOKENS = ['a', ' b', '<call>', '<end>', ''];
  const tokenizer = {
    decode: (ids: ArrayLike<number>, { skipSpecialTokens = false } = {}) =>
      Array.from(ids, (id) => (skipSpecialTokens && TOKENS[id].startsWith('<') ? '' : TOKENS[id])).join(''),
  };
  async function* written(): AsyncGenerator<DecodeEvent> {
    for (const id of [0, 2, 1, 3, 4, 1, 2]) yield { type: 'token', id, logProbability: 0, top: [] };
    yield await Promise.resolve({ type: 'end', reason: 'length', stopToken: null });
  }
  const answer = async (shownSpecialTokens: string[], stops: string[] = []) => {
    let text = '';
    let ids = 0;
    for await (const event of decodeText(written(), tokenizer, { shownSpecialTokens, stops })) {
      if (event.type !== 'text') continue;
      text += event.text;
      ids += event.tokens.length;
    }
    return { text, ids };
  };
  expect(await answer([])).toEqual({ text: 'a b b', ids: 7 });
  expect(await answer(['<call>'])).toEqual({ text: 'a<call> b b<call>', ids: 7 });
  expect(await answer(['<call>', '<end>'], ['<end>'])).toEqual({ text: 'a<call> b', ids: 3 });
});
