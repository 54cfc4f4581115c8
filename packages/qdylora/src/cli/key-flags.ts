import { Option, type Command } from 'commander';
import { flagValue } from '../config/flag-value.ts';
import { givenByFlags, type GivenValues } from '../config/given-values.ts';
import type { FlagKind, Key } from '../config/key.ts';
import { kebabCase } from '../config/names.ts';

type Keys = Readonly<Record<string, Key>>;

const PLACEHOLDERS: Readonly<Record<FlagKind, string>> = {
  text: 'text',
  number: 'number',
  boolean: 'true|false',
  'boolean-or-size': 'true|false|n|bytes',
  numbers: 'n,…',
  texts: 'name,…',
  'word-or-numbers': 'word|n,…',
  'word-or-texts': 'word|name,…',
};

/** Choices up to this length stand in the flag's own column. */
const LONGEST_PLACEHOLDER = 20;

/** Adds a flag for each key, under its group's heading. */
export function addKeyFlags(command: Command, keys: Keys): Command {
  for (const [name, key] of Object.entries(keys)) command.addOption(flagOf(name, key));
  return command;
}

function flagOf(name: string, { flag, group, about, schema, expected, placeholder }: Key): Option {
  const otherwise = schema.safeParse(undefined);
  const choices = /^one of (.*)$/.exec(expected)?.[1]?.replaceAll(', ', '|');
  const isShort = choices !== undefined && choices.length <= LONGEST_PLACEHOLDER;
  const shown = isShort
    ? choices
    : (placeholder ?? (choices && flag === 'text' ? 'name' : PLACEHOLDERS[flag]));
  const standard =
    otherwise.success && otherwise.data !== null && otherwise.data !== undefined
      ? ` (${Array.isArray(otherwise.data) && otherwise.data.length === 0 ? 'none' : String(otherwise.data)})`
      : '';
  const text = `${about}${choices && !isShort ? `: ${choices.replaceAll('|', ', ')}` : ''}${standard}`;
  return new Option(
    `--${kebabCase(name)} ${flag.startsWith('boolean') ? `[${shown}]` : `<${shown}>`}`,
    text,
  ).helpGroup(`${group}:`);
}

/** The keys' values among a command's flags. */
export function givenFlags(keys: Keys, options: Readonly<Record<string, unknown>>): GivenValues {
  const named = Object.entries(keys).filter(([name]) => options[name] !== undefined);
  return givenByFlags(
    Object.fromEntries(named.map(([name, { flag }]) => [name, flagValue(flag, String(options[name]))])),
  );
}

/**
 * `--packing`, `--packing true`, `--no-packing` → `--packing=true|false`, so that a flag never swallows the
 * word behind it.
 */
export function writeOutBooleans(argv: readonly string[], keys: Keys): string[] {
  const flags = new Map(
    Object.entries(keys)
      .filter(([, { flag }]) => flag.startsWith('boolean'))
      .map(([name, { flag }]) => [kebabCase(name), flag]),
  );
  const written: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    const name = word.startsWith('--') ? word.slice(2) : '';
    if (word === '--') return [...written, ...argv.slice(i)];
    if (flags.has(name))
      written.push(`--${name}=${isValueOf(flags.get(name)!, argv[i + 1]) ? argv[++i] : 'true'}`);
    else if (name.startsWith('no-') && flags.has(name.slice(3))) written.push(`--${name.slice(3)}=false`);
    else written.push(word);
  }
  return written;
}

/** Is the word behind a flag its value? A number is one where the flag takes sizes. */
const isValueOf = (kind: FlagKind, word: string | undefined): boolean =>
  word === 'true' ||
  word === 'false' ||
  (kind === 'boolean-or-size' && word !== undefined && /^\d/.test(word));
