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
      const pieces = cut.map((id) => decoder.push(id));
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
    return [4, 5].map((id) => decoder.push(id)).join('') + decoder.finish();
  };
  expect(answer([])).toBe('times');
  expect(answer([0, 1, 2, 3])).toBe(' times');
  expect(answer([0, ...Array.from({ length: 20 }, () => 2)])).toBe(' times');
  expect(answer([0])).toBe('times'); // behind a special token a text begins
  // behind the first half of a character nothing tells how a token is written
  const half = createTextDecoder(bytes, [0xc3]);
  expect(half.push(0x61)).toBe('a');
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

async function* eventsOf(text: string, onLeave: () => void): AsyncGenerator<DecodeEvent> {
  try {
    yield { type: 'prompt', scores: null, nextScores: null };
    for (const id of new TextEncoder().encode(text))
      yield { type: 'token', id, logProbability: -id, top: [] };
    yield { type: 'end', reason: 'length', stopToken: null };
  } finally {
    onLeave();
  }
}

async function textOf(text: string, stops: string[]) {
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
