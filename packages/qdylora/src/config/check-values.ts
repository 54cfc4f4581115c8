import { nearestName, QdyloraError, shownValue } from '@qdylora/contract';
import * as z from 'zod';
import type { Given, GivenValues } from './given-values.ts';
import type { Key } from './key.ts';
import { camelCase, snakeCase } from './names.ts';
import { OTHER_NAMES } from './other-names.ts';

type Keys = Readonly<Record<string, Key>>;
type SchemasOf<K extends Keys> = { [N in keyof K]: K[N]['schema'] };

/** The schema over some keys, in TypeScript's spelling. */
export const schemaOf = <K extends Keys>(keys: K): z.ZodObject<SchemasOf<K>, z.core.$strict> =>
  z.strictObject(
    Object.fromEntries(
      Object.entries(keys).map(([name, { schema }]) => [name, schema]),
    ) as unknown as SchemasOf<K>,
  );

/** A list that is only read may be one that cannot be written. */
type Readable<V> = V extends readonly (infer Item)[] ? readonly Item[] : V;
type ReadableFields<T> = { readonly [Name in keyof T]: Readable<T[Name]> };

/** What a caller may give. */
export type InputOf<K extends Keys> = ReadableFields<z.input<ReturnType<typeof schemaOf<K>>>>;
/** Every key with its value. */
export type OutputOf<K extends Keys> = z.output<ReturnType<typeof schemaOf<K>>>;

/**
 * Checks given values against their keys and fills in `defaults`, then the keys' own.
 *
 * @throws QdyloraError BAD_CONFIG that names the key as it was spelled, where it stands, what was expected
 * and what came; for an unknown key, the nearest one.
 */
export function checkValues<K extends Keys>(
  keys: K,
  given: GivenValues,
  defaults: Readonly<Record<string, unknown>> = {},
): OutputOf<K> {
  for (const [name, value] of given)
    if (!Object.hasOwn(keys, name) || value.spell(name) !== value.written)
      throw unknownKey(value, Object.keys(keys));
  const values = { ...defaults, ...Object.fromEntries([...given].map(([name, { value }]) => [name, value])) };
  const result = schemaOf(keys).safeParse(values);
  if (result.success) return result.data;
  const name = String(result.error.issues[0]!.path[0]);
  const own = given.get(name);
  throw wrongValue(
    name,
    own ?? {
      value: (values as Record<string, unknown>)[name],
      where: 'options',
      written: name,
      spell: (key) => key,
    },
    keys[name]!.expected,
  );
}

/** The error for a value that cannot stand where it does. */
export const wrongValue = (
  name: string,
  { value, where, spell }: Pick<Given, 'value' | 'where' | 'spell'>,
  expected: string,
  nextStep?: string,
): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where,
    problem: `expected ${expected} for ${spell(name)}, got ${shownValue(value)}`,
    nextStep: nextStep ?? 'Correct it, or leave it out to get the default.',
    details: { key: name, got: value },
  });

function unknownKey({ where, written, spell }: Given, known: readonly string[]): QdyloraError {
  const other = camelCase(OTHER_NAMES.get(snakeCase(camelCase(written.replace(/^--/, '')))) ?? '');
  const isOther = known.includes(other);
  const near = isOther ? spell(other) : nearestName(written, known.map(spell));
  return new QdyloraError('BAD_CONFIG', {
    where,
    problem: `expected a known key, got ${written}`,
    details: { key: written, nearest: near },
    nextStep: isOther
      ? `It is called ${near!} here.`
      : near
        ? `Did you mean ${near}?`
        : `The keys are: ${known.map(spell).join(', ')}.`,
  });
}
