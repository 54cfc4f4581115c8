import * as z from 'zod';
import { readByteSize } from './values/byte-size.ts';

/** Headings of the help and of `run.yaml`. */
export const KEY_GROUPS = [
  'Model',
  'Method',
  'Adapter',
  'Data',
  'Text',
  'Server',
  'Training',
  'Evaluation and saving',
  'Benchmarks',
] as const;
export type KeyGroup = (typeof KEY_GROUPS)[number];

/** How the text of a flag becomes the value that YAML would have. */
export type FlagKind =
  | 'text'
  | 'number'
  | 'boolean'
  | 'boolean-or-size'
  | 'size'
  | 'numbers'
  | 'texts'
  | 'word-or-numbers'
  | 'pattern-or-names'
  | 'word-or-sizes';

/** One key of a run: its check, its default, and what help and errors say about it. */
export interface Key<S extends z.ZodType = z.ZodType> {
  readonly schema: S;
  readonly flag: FlagKind;
  readonly group: KeyGroup;
  readonly about: string;
  /** Completes "`key` must be …": `a number > 0`. */
  readonly expected: string;
  /** The name of the value in the help: `path`. */
  readonly placeholder?: string;
}

/** ` (default: 4)`; empty for a key without a default. */
export function defaultText({ schema }: Key): string {
  const { success, data } = schema.safeParse(undefined);
  if (!success || data === null || data === undefined) return '';
  const text = Array.isArray(data) && data.length === 0 ? 'none' : String(data);
  return ` (default: ${text})`;
}

type Parts = { readonly group: KeyGroup; readonly about: string; readonly placeholder?: string };

/** A value that may be left out, which is null. */
const optional = <S extends z.ZodType>(schema: S) => schema.nullable().default(null);

/** The system refuses paths with a NUL character. */
const line = z
  .string()
  .min(1)
  .refine((text) => !text.includes('\0'));

export const textKey = (parts: Parts): Key<z.ZodDefault<z.ZodNullable<z.ZodString>>> => ({
  placeholder: 'path',
  ...parts,
  flag: 'text',
  expected: 'text',
  schema: optional(line),
});

/** One of several words. */
export const choiceKey = <const C extends readonly [string, ...string[]], D extends C[number]>(
  choices: C,
  otherwise: D,
  parts: Parts,
): Key<z.ZodDefault<z.ZodEnum<{ [V in C[number]]: V }>>> => ({
  ...parts,
  flag: 'text',
  expected: `one of ${choices.join(', ')}`,
  schema: z.enum(choices).default(otherwise as never) as never,
});

/** Any of several words, none by default. Written as `none`, one word, or a list. */
export const choicesKey = <const C extends readonly [string, ...string[]]>(
  choices: C,
  parts: Parts,
): Key<
  z.ZodDefault<
    z.ZodPipe<
      z.ZodUnion<
        readonly [
          z.ZodLiteral<'none'>,
          z.ZodEnum<{ [V in C[number]]: V }>,
          z.ZodArray<z.ZodEnum<{ [V in C[number] | 'none']: V }>>,
        ]
      >,
      z.ZodTransform<C[number][], unknown>
    >
  >
> => {
  const schema = z
    .union([z.literal('none'), z.enum(choices), z.array(z.enum([...choices, 'none']))])
    .transform((words) => [...new Set([words].flat())].filter((word) => word !== 'none'));
  return {
    ...parts,
    flag: 'texts',
    expected: `none or a list of ${choices.join(', ')}`,
    schema: schema.default([] as never) as never,
  };
};

export const optionalChoiceKey = <const C extends readonly [string, ...string[]]>(
  choices: C,
  parts: Parts,
): Key<z.ZodDefault<z.ZodNullable<z.ZodEnum<{ [V in C[number]]: V }>>>> => ({
  ...parts,
  flag: 'text',
  expected: `one of ${choices.join(', ')}`,
  schema: optional(z.enum(choices)) as never,
});

export const booleanKey = (otherwise: boolean, parts: Parts): Key<z.ZodDefault<z.ZodBoolean>> => ({
  ...parts,
  flag: 'boolean',
  expected: 'true or false',
  schema: z.boolean().default(otherwise),
});

export const optionalBooleanKey = (parts: Parts): Key<z.ZodDefault<z.ZodNullable<z.ZodBoolean>>> => ({
  ...parts,
  flag: 'boolean',
  expected: 'true or false',
  schema: optional(z.boolean()),
});

/** `from` and `to` are part of the range, unless `above` or `below` excludes them. */
interface Range {
  readonly from?: number;
  readonly to?: number;
  readonly above?: boolean;
  readonly below?: boolean;
  readonly whole?: boolean;
}

function rangeText({ from, to, above, below, whole }: Range): string {
  const kind = whole ? 'a whole number' : 'a number';
  if (from === undefined) return kind;
  const least = `${above ? '>' : '≥'} ${from}`;
  if (to === undefined || to === Number.MAX_SAFE_INTEGER) return `${kind} ${least}`;
  return above || below ? `${kind} ${least} and ${below ? '<' : '≤'} ${to}` : `${kind} from ${from} to ${to}`;
}

function rangeSchema({ from, to, above, below, whole }: Range): z.ZodNumber {
  let schema = whole ? z.number().int() : z.number();
  if (from !== undefined) schema = above ? schema.gt(from) : schema.gte(from);
  if (to !== undefined) schema = below ? schema.lt(to) : schema.lte(to);
  return schema;
}

export const numberKey = (range: Range, otherwise: number, parts: Parts): Key<z.ZodDefault<z.ZodNumber>> => ({
  ...parts,
  flag: 'number',
  expected: rangeText(range),
  schema: rangeSchema(range).default(otherwise),
});

export const optionalNumberKey = (
  range: Range,
  parts: Parts,
): Key<z.ZodDefault<z.ZodNullable<z.ZodNumber>>> => ({
  ...parts,
  flag: 'number',
  expected: rangeText(range),
  schema: optional(rangeSchema(range)),
});

/** One path or several; the result is a list. */
const oneOrMore = z.union([line.transform((one) => [one]), z.array(line).min(1)]);

export const filesKey = (parts: Parts): Key<z.ZodDefault<z.ZodNullable<typeof oneOrMore>>> => ({
  placeholder: 'path,…',
  ...parts,
  flag: 'texts',
  expected: 'a file or a list of files',
  schema: optional(oneOrMore),
});

const byteSize = z.union([
  z.number().int().gte(0),
  z.string().transform((text, context) => {
    const bytes = readByteSize(text);
    if (bytes === null) context.addIssue({ code: 'custom', message: 'not a size' });
    return bytes ?? 0;
  }),
]);

/** Rising and different sizes, or a word; one size need not be a list. Numbers of bytes in TypeScript. */
export const sizesKey = <const W extends string>(
  word: W,
  parts: Parts,
): Key<
  z.ZodDefault<
    z.ZodNullable<
      z.ZodPipe<
        z.ZodUnion<readonly [z.ZodLiteral<W>, typeof byteSize, z.ZodArray<typeof byteSize>]>,
        z.ZodTransform<W | number[], W | number | number[]>
      >
    >
  >
> => ({
  ...parts,
  flag: 'word-or-sizes',
  expected: `${word} or sizes with a unit, such as 1MB, 4MB`,
  schema: optional(
    z
      .union([z.literal(word), byteSize, z.array(byteSize).min(1)])
      .transform((value) =>
        typeof value === 'string' ? value : [...new Set([value].flat())].sort((a, b) => a - b),
      ),
  ) as never,
});

/** A number of bytes in TypeScript; elsewhere text with a unit. */
export const bytesKey = (parts: Parts): Key<z.ZodDefault<z.ZodNullable<typeof byteSize>>> => ({
  placeholder: 'size',
  ...parts,
  flag: 'size',
  expected: 'a size with a unit, such as 64MB or 8GB',
  schema: optional(byteSize),
});
