import { QdyloraError, shownValue } from '@qdylora/contract';
import * as z from 'zod';
import { likelySizes } from './byte-size.ts';
import { SPELLINGS, type ExplicitValue, type ExplicitValues } from '../explicit-values.ts';
import type { Key } from '../key.ts';
import { adviceForValue } from '../names/foreign-values.ts';
import { unknownKeysError } from '../names/unknown-keys-error.ts';

type Keys = Readonly<Record<string, Key>>;
type SchemasOf<K extends Keys> = { [N in keyof K]: K[N]['schema'] };

/** The schema over several keys, in TypeScript's spelling. */
export const schemaOf = <K extends Keys>(keys: K): z.ZodObject<SchemasOf<K>, z.core.$strict> =>
  z.strictObject(
    Object.fromEntries(
      Object.entries(keys).map(([name, { schema }]) => [name, schema]),
    ) as unknown as SchemasOf<K>,
  );

/** Lists of options may be readonly. */
type Readable<V> = V extends readonly (infer Item)[] ? readonly Item[] : V;
type ReadableFields<T> = { readonly [Name in keyof T]: Readable<T[Name]> };

/** What a caller may give. */
export type InputOf<K extends Keys> = ReadableFields<z.input<ReturnType<typeof schemaOf<K>>>>;
/** Every key with its value. */
export type OutputOf<K extends Keys> = z.output<ReturnType<typeof schemaOf<K>>>;

/** @throws QdyloraError BAD_CONFIG for keys that do not exist, with what to write instead */
export function assertKnownKeys(keys: Keys, explicit: ExplicitValues): void {
  const unknown = [...explicit]
    .filter(([name, { spell, written }]) => !Object.hasOwn(keys, name) || spell(name) !== written)
    .map(([, value]) => value);
  if (unknown.length > 0) throw unknownKeysError(unknown, Object.keys(keys));
}

/**
 * Checks explicit values against their keys and adds `defaults`, then the defaults of the keys.
 *
 * @throws QdyloraError BAD_CONFIG with the key as it was spelled, its place, and what it must be. For unknown
 * keys, all at once: the nearest one, or our name for the name of another trainer.
 */
export function checkValues<K extends Keys>(
  keys: K,
  explicit: ExplicitValues,
  defaults: Readonly<Record<string, unknown>> = {},
): OutputOf<K> {
  assertKnownKeys(keys, explicit);
  const entries = [...explicit].map(([name, entry]) => [name, valueOf(keys[name], entry)] as const);
  const values: Record<string, unknown> = { ...defaults, ...Object.fromEntries(entries) };
  const result = schemaOf(keys).safeParse(values);
  if (result.success) return result.data;
  const name = String(result.error.issues[0].path[0]);
  const inOptions = { value: values[name], where: 'options', spell: SPELLINGS.options };
  throw wrongValueError(name, explicit.get(name) ?? inOptions, keys[name].expected);
}

/** In TypeScript a size may be a number of bytes; elsewhere it is text with a unit. */
function valueOf({ flag }: Key, { value, spell }: ExplicitValue): unknown {
  if (spell === SPELLINGS.options || (flag !== 'size' && flag !== 'word-or-sizes')) return value;
  const textOf = (one: unknown): unknown => (typeof one === 'number' ? String(one) : one);
  return Array.isArray(value) ? value.map(textOf) : textOf(value);
}

/** The error for a value that its key does not allow: `key` must be `expected`. */
function wrongValueError(
  name: string,
  { value, where, spell }: Pick<ExplicitValue, 'value' | 'where' | 'spell'>,
  expected: string,
): QdyloraError {
  const sizes = /size with a unit/.test(expected) ? likelySizes(String(value)) : null;
  const advice = adviceForValue(name, value, spell) ?? 'Correct it, or leave it out.';
  return new QdyloraError('BAD_CONFIG', {
    where,
    problem: `\`${spell(name)}\` must be ${expected} (got ${shownValue(value)})`,
    nextStep: sizes ? `Did you mean ${sizes}?` : advice,
    details: { key: name, got: value },
  });
}
