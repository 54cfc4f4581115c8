import { createProgram, KEY_NAMES, kebabCase } from '../app-sources.ts';
import { anchor, code, escapeText, generatedPage, table } from './markdown.ts';

type Command = ReturnType<typeof createProgram>;
type Option = Command['options'][number];

const SHOWN_NOWHERE = (): void => {};

/** Every command with its arguments and flags, as its own help shows them. */
export function commandPage(): string {
  const program = createProgram({
    terminal: { write: SHOWN_NOWHERE, note: SHOWN_NOWHERE, columns: 110 } as never,
    argv: [],
    trainWorker: null,
    page: new URL('page:none'),
    interruptible: () => Promise.reject(new Error('a page runs no command')),
  });
  const { commands } = program;
  return generatedPage('Commands', 'the flags of packages/qdylora/src/cli', [
    'Results go to standard output; progress, warnings and errors to standard error. With `--json`, ' +
      'standard output is ' +
      'one JSON document, also for failures.',
    'Exit codes: 0: success; 1: failure; 2: bad usage or input; 130: interrupted (Ctrl-C or SIGTERM); ' +
      '141: the reader of the output closed the pipe; 143: SIGTERM, and stopping took more than 8 ' +
      'seconds. `serve` exits with 0 after Ctrl-C or SIGTERM. `launch` exits with 2 or 130 if its workers ' +
      'did, and with 1 after any other failure.',
    table(
      ['command', 'does'],
      commands.map((command) => [
        `[${code(command.name())}](#${command.name()})`,
        escapeText(command.summary() || command.description()),
      ]),
    ),
    ...commands.map(commandSection),
  ]);
}

const KEY_FLAGS: ReadonlySet<string> = new Set(KEY_NAMES.map((name) => `--${kebabCase(name)}`));

function commandSection(command: Command): string {
  const usage = `npx qdylora ${command.name()} ${command.usage()}`;
  const options = command.options.filter((option) => !option.hidden);
  return [
    `## ${command.name()} {#${command.name()}}`,
    escapeText(command.description()),
    `\`\`\`text\n${usage}\n\`\`\``,
    ...command.registeredArguments.map(
      (argument) => `- ${code(argument.name())}: ${escapeText(argument.description)}`,
    ),
    table(
      ['flag', 'does'],
      options.map((option) => [flagCell(command, option), escapeText(option.description)]),
    ),
  ].join('\n\n');
}

/** The flag with an anchor of its own; the flag of a key links to the page of keys. */
function flagCell(command: Command, { long, short, flags }: Option): string {
  const flag = long ?? short!;
  const name = anchor(flag.replace(/^-+/, ''));
  const shown = code(flags);
  const isKey = KEY_FLAGS.has(flag) && ['train', 'plan', 'tune', 'finish'].includes(command.name());
  return `<a id="${command.name()}-${name}"></a>${isKey ? `[${shown}](./keys.md#${name})` : shown}`;
}
