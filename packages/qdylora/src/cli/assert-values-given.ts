import { QdyloraError } from '@qdylora/contract';
import type { Command, Option } from 'commander';
import { verbOf } from './verb-of.ts';

/** Flags that every command has. */
const HELP_FLAGS = ['--help', '-h'];

/**
 * Refuses a flag whose value was left out before another flag: `--output-dir --dry-run`, which commander
 * reads as a folder `--dry-run`. `--output-dir=--dry-run` still names it.
 *
 * @param program the program, whose commands and options are known
 * @param words the command line
 * @throws QdyloraError BAD_CONFIG
 */
export function assertValuesGiven(program: Command, words: readonly string[]): void {
  const verb = verbOf(words);
  const options = program.commands.find((one) => one.name() === verb)?.options ?? [];
  const namesOf = ({ long, short }: Option): string[] => [long, short].filter((name) => name !== undefined);
  const withValue = new Set(options.filter(({ required }) => required).flatMap(namesOf));
  const flags = new Set([...options.flatMap(namesOf), ...HELP_FLAGS]);
  const wordsBeforeSeparator = words.includes('--') ? words.slice(0, words.indexOf('--')) : words;
  // a text with spaces is a value: --prompt '--rank=8 means what?'
  const flagName = (word: string): string => (/\s/.test(word) ? word : word.split('=', 1)[0]);
  const index = wordsBeforeSeparator.findIndex(
    (word, i) =>
      withValue.has(word) &&
      i + 1 < wordsBeforeSeparator.length &&
      flags.has(flagName(wordsBeforeSeparator[i + 1])),
  );
  if (index < 0) return;
  const [flag, next] = [wordsBeforeSeparator[index], flagName(wordsBeforeSeparator[index + 1])];
  throw new QdyloraError('BAD_CONFIG', {
    where: 'command line',
    problem: `\`${flag}\` needs a value, but \`${next}\` follows it`,
    nextStep:
      `Write the value after \`${flag}\`. If the value is \`${next}\` itself, ` +
      `write \`${flag}=${next}\`.`,
    details: { flag },
  });
}
