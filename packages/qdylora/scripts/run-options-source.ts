import * as z from 'zod';
import { defaultText, type Key } from '../src/config/key.ts';
import { KEY_NAMES, KEYS } from '../src/config/keys.ts';
import { wrapText } from '../src/cli/render/wrap-text.ts';

/** JSON Schema, as far as the schemas of keys use it. */
interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
}

/**
 * Source of `run-options.ts`: the options of a run as an interface whose fields have the documentation and
 * the default of their key. An editor shows it; a test compares the file with this text.
 */
export const runOptionsSource = (): string =>
  [
    '// Generated from the keys (keys.ts) by scripts/write-run-options.ts: do not edit.',
    '',
    '/** The options of a run. Every key may be left out; null, where it is allowed, means the same. */',
    'export interface RunOptions {',
    KEY_NAMES.map((name) => fieldSource(name, KEYS[name])).join('\n'),
    '}',
    '',
  ].join('\n');

function fieldSource(name: string, key: Key): string {
  const schema = z.toJSONSchema(key.schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const types = [...new Set(typesOf(schema))].join(' | ');
  const lines = wrapText(`${key.about}${defaultText(key)}.`, LONGEST_LINE);
  const comment =
    lines.length === 1
      ? [`  /** ${lines[0]} */`]
      : ['  /**', ...lines.map((line) => `   * ${line}`), '   */'];
  return [...comment, `  readonly ${name}?: ${types};`].join('\n');
}

const LONGEST_LINE = 100;

/** The TypeScript types of a schema's input. */
function typesOf({ type, const: literal, enum: choices, anyOf, items }: JsonSchema): string[] {
  if (anyOf) return anyOf.flatMap(typesOf);
  if (literal !== undefined) return [sourceOf(literal)];
  if (choices) return choices.map(sourceOf);
  return [type!].flat().map((name) => {
    if (name === 'array') return arrayOf(typesOf(items!));
    return name === 'integer' ? 'number' : name;
  });
}

const arrayOf = (types: readonly string[]): string =>
  types.length === 1 ? `readonly ${types[0]}[]` : `readonly (${types.join(' | ')})[]`;

const sourceOf = (literal: unknown): string =>
  typeof literal === 'string' ? `'${literal}'` : String(literal);
