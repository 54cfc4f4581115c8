import { expect, it } from 'vitest';
import { snakeCase } from '@qdylora/contract';
import { eventLineJsonSchema, KEY_NAMES } from '../app-sources.ts';
import { errorCodes, thrownMessages } from '../generate/error-page.ts';
import { anchor } from '../generate/markdown.ts';
import { ourKey } from '../generate/move-pages.ts';
import { TRAINERS } from '../generate/trainers.ts';
import { generatedPages } from '../generate/write-pages.ts';

const pages = generatedPages();

it('every key, event and error code has an anchor of its own', () => {
  const { oneOf } = eventLineJsonSchema() as { oneOf: { properties: { type: { const: string } } }[] };
  const expected = [
    ...KEY_NAMES.map((name) => ['reference/keys.md', anchor(snakeCase(name))]),
    ...oneOf.map(({ properties }) => ['reference/events.md', anchor(properties.type.const)]),
    ...errorCodes().map(({ name }) => ['reference/errors.md', anchor(name)]),
  ];
  expect(expected.filter(([page, id]) => !pages.get(page)!.includes(` {#${id}}`))).toEqual([]);
  expect(expected.length).toBeGreaterThan(110);
});

it('every error code says what it means, and every code that is thrown is one of them', () => {
  const codes = errorCodes();
  expect(codes.filter(({ about }) => about.length < 20)).toEqual([]);
  const names = new Set(codes.map(({ name }) => name));
  const messages = thrownMessages();
  expect(messages.filter(({ code }) => !names.has(code))).toEqual([]);
  expect(messages.length).toBeGreaterThan(300);
});

it('every name that another trainer uses is a key here, or one that the command knows', () => {
  const unknown = TRAINERS.flatMap(({ title, names }) =>
    names.filter((name) => !ourKey(name)).map((name) => `${title}: ${name}`),
  );
  expect(unknown).toEqual([]);
});

it('no generated page has a value in it that was not meant for a reader', () => {
  for (const [path, text] of pages) expect(text, path).not.toMatch(/undefined|\[object Object/);
});
