import { Option, type Command } from 'commander';
import { flagValue } from '../config/values/flag-value.ts';
import { valuesOfFlags, type ExplicitValues } from '../config/explicit-values.ts';
import { defaultText, type FlagKind, type Key } from '../config/key.ts';
import { kebabCase } from '../config/names/names.ts';

type Keys = Readonly<Record<string, Key>>;

const PLACEHOLDERS: Readonly<Record<FlagKind, string>> = {
  text: 'text',
  number: 'number',
  boolean: 'true|false',
  'boolean-or-size': 'true|false|n|size',
  size: 'size',
  numbers: 'n,…',
  texts: 'name,…',
  'word-or-numbers': 'word|n,…',
  'pattern-or-names': 'pattern|name,…',
  'word-or-sizes': 'word|size,…',
};

/** Choices up to this length are shown as the option's value; longer ones in its description. */
const LONGEST_PLACEHOLDER = 20;

/** Adds an option for each key, under the heading of its group. */
export function addKeyFlags(command: Command, keys: Keys): Command {
  for (const [name, key] of Object.entries(keys)) command.addOption(optionOf(name, key));
  return command;
}

function optionOf(name: string, key: Key): Option {
  const { flag, group, about, expected, placeholder } = key;
  const choices = /^one of (.*)$/.exec(expected)?.[1];
  const shortChoices = choices && choices.length <= LONGEST_PLACEHOLDER ? choices : null;
  const value =
    shortChoices?.replaceAll(', ', '|') ??
    placeholder ??
    (choices && flag === 'text' ? 'name' : PLACEHOLDERS[flag]);
  const isBoolean = flag.startsWith('boolean');
  return new Option(
    `--${kebabCase(name)} ${isBoolean ? `[${value}]` : `<${value}>`}`,
    `${about}${choices && !shortChoices ? `. One of ${choices}` : ''}${defaultText(key)}`,
  ).helpGroup(`${group}:`);
}

/** The option of a key that may be repeated: its value is the list of all texts. */
export const repeatedFlag = (name: string, key: Key): Option =>
  optionOf(name, key).argParser((text: string, before: readonly string[] = []) => [...before, text]);

/** The values of keys among the options of a command. */
export function explicitFlags(keys: Keys, options: Readonly<Record<string, unknown>>): ExplicitValues {
  const explicitEntries = Object.entries(keys).filter(([name]) => options[name] !== undefined);
  return valuesOfFlags(
    Object.fromEntries(
      explicitEntries.map(([name, { flag }]) => [name, flagValue(flag, String(options[name]))]),
    ),
  );
}

/**
 * `--packing`, `--packing true` and `--no-packing` → `--packing=true|false`, so that a flag never takes the
 * next word for its value.
 *
 * @param keys those of every command: the command is not parsed yet
 */
export function writeOutBooleans(argv: readonly string[], keys: Keys): string[] {
  const flags = new Map(
    Object.entries(keys)
      .filter(([, { flag }]) => flag.startsWith('boolean'))
      .map(([name, { flag }]) => [kebabCase(name), flag]),
  );
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    const name = word.startsWith('--') ? word.slice(2) : '';
    if (word === '--') return [...words, ...argv.slice(i)];
    if (flags.has(name))
      words.push(`--${name}=${isValueOf(flags.get(name)!, argv[i + 1]) ? argv[++i] : 'true'}`);
    else if (name.startsWith('no-') && flags.has(name.slice(3))) words.push(`--${name.slice(3)}=false`);
    else words.push(word);
  }
  return words;
}

/** Other spellings of true and false are values too, which the check of the key refuses by name. */
const TRUTH_WORD = /^(true|false|yes|no|on|off|0|1)$/i;

/** Whether the word after a flag is its value. A number is one where the flag takes sizes. */
const isValueOf = (kind: FlagKind, word: string | undefined): boolean =>
  word !== undefined && (TRUTH_WORD.test(word) || (kind === 'boolean-or-size' && /^\d/.test(word)));
