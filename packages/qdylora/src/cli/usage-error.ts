import { nearestName, QdyloraError } from '@qdylora/contract';
import { CommanderError, type Command } from 'commander';
import { SPELLINGS } from '../config/explicit-values.ts';
import { nearestAdvice } from '../config/names/unknown-key.ts';
import { verbOf } from './verb-of.ts';

/**
 * A wrong command line as an error like all others.
 *
 * @param program the program, whose commands and options are known
 * @param words the command line
 */
export function usageError(error: CommanderError, program: Command, words: readonly string[]): QdyloraError {
  const verb = verbOf(words);
  const command = program.commands.find((one) => one.name() === verb);
  const name = command ? `qdylora ${command.name()}` : 'qdylora';
  const quoted = (/'(.*?)'/.exec(error.message)?.[1] ?? '').split('=', 1)[0];
  const help = `\`npx ${name} --help\` lists the ${command ? '' : 'commands and '}options.`;
  const bad = (problem: string, nextStep: string): QdyloraError =>
    new QdyloraError('BAD_CONFIG', { where: 'command line', problem, nextStep });
  switch (error.code) {
    case 'commander.unknownOption': {
      const advice =
        trainFlagAdvice(quoted, command, program) ?? optionAdvice(quoted, command ?? program, words);
      return bad(`\`${name}\` has no option \`${quoted}\``, `${advice}${help}`);
    }
    case 'commander.unknownCommand': {
      const nearest = nearestName(
        quoted,
        program.commands.map((one) => one.name()),
      );
      return bad(
        `There is no command \`${quoted}\``,
        `${nearest ? `Did you mean \`${nearest}\`? ` : ''}${help}`,
      );
    }
    case 'commander.optionMissingArgument':
      return bad(`\`${quoted.split(' ')[0]}\` needs a value`, help);
    case 'commander.excessArguments':
      return bad(`\`${name}\` takes fewer arguments`, `Separate the names of a list by commas. ${help}`);
    default:
      return bad(error.message.replace(/^error: /, ''), help);
  }
}

/** @throws QdyloraError BAD_CONFIG for `help` about a command that does not exist */
export function assertHelpTopic(program: Command, words: readonly string[]): void {
  const [verb, topic] = words.filter((word) => !word.startsWith('-'));
  const topics = ['help', ...program.commands.map((one) => one.name())];
  if (verb !== 'help' || topic === undefined || topics.includes(topic)) return;
  throw usageError(new CommanderError(1, 'commander.unknownCommand', `'${topic}'`), program, words);
}

/** What to do with a flag of `train` among those of `launch`, followed by a space; null for other flags. */
function trainFlagAdvice(written: string, command: Command | undefined, program: Command): string | null {
  const train = program.commands.find((one) => one.name() === 'train');
  const isTrainFlag = train?.options.some(({ long }) => long === written) ?? false;
  if (command?.name() !== 'launch' || !isTrainFlag) return null;
  return `Flags of \`qdylora train\` come after \`--\`: \`qdylora launch run.yaml -- ${written} …\`. `;
}

/**
 * A sentence that names the option that was probably meant, followed by a space; empty where no option is
 * near.
 */
function optionAdvice(written: string, { options }: Command, words: readonly string[]): string {
  const keys = options.map((option) => option.attributeName());
  const valueWord = words[words.indexOf(written) + 1];
  const value = valueWord === 'true' ? true : valueWord === 'false' ? false : undefined;
  const advice = nearestAdvice({ written, value, keys, spell: SPELLINGS.flags });
  return advice === null ? '' : `${advice} `;
}
