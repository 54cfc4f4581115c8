import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { anchor, code, escapeText, generatedPage, table } from './markdown.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const TABLE = 'packages/contract/src/errors/errors.ts';

/** For readers who search for a code that does not exist: its name, by the code that there is. */
const OTHER_NAMES: Readonly<Record<string, string>> = { BAD_DATA: 'BAD_ROW', OUT_OF_MEMORY: 'OOM' };

/** A section that search finds by the other name. */
const otherName = (code: string, name: string): string =>
  `### ${name} {#${anchor(name)}}\n\nThe code \`${name}\` does not exist. ` +
  `The code is \`${code}\`, see above.`;

/** A place in the sources that throws: what it says, with … for the values. */
export interface ThrownMessage {
  readonly code: string;
  readonly problem: string;
  readonly nextStep: string;
  readonly file: string;
}

/** Every code of `ErrorCode` with its meaning and all messages that carry it. */
export function errorPage(): string {
  const messages = thrownMessages();
  return generatedPage('Errors', `${TABLE} and all places that throw`, [
    'Every error that is thrown on purpose is a `QdyloraError` with a stable `code`. Its message ' +
      'says where, what is wrong ' +
      'and what to do; its `details` hold the values. Programs switch on the code: ' +
      '`QdyloraError.isInstance(error) && ' +
      'error.code === \'BAD_FILE\'`. With `--json` the command prints `{ "error": { "code", "name", ' +
      '"where", ' +
      '"message" } }`.',
    'The messages below are read from the sources; `…` stands for a value.',
    table(
      ['code', 'means'],
      errorCodes().flatMap(({ name, about }) => [
        [`[${code(name)}](#${anchor(name)})`, escapeText(about)],
        ...(OTHER_NAMES[name] ? [[code(OTHER_NAMES[name]), `does not exist: use ${code(name)}`]] : []),
      ]),
    ),
    ...errorCodes().map(({ name, about }) =>
      codeSection(
        name,
        about,
        messages.filter((message) => message.code === name),
      ),
    ),
  ]);
}

function codeSection(name: string, about: string, messages: readonly ThrownMessage[]): string {
  const shown = [...new Map(messages.map((message) => [message.problem, message])).values()]
    .filter(({ problem }) => /[a-z]{3}/.test(problem))
    .sort((a, b) => (a.problem < b.problem ? -1 : 1));
  return [
    `## ${name} {#${anchor(name)}}`,
    escapeText(about),
    ...shown.map(
      ({ problem, nextStep }) =>
        `- ${escapeText(problem)}${/\w/.test(nextStep) ? ` *${escapeText(nextStep)}*` : ''}`,
    ),
    ...(OTHER_NAMES[name] ? [otherName(name, OTHER_NAMES[name])] : []),
  ]
    .join('\n\n')
    .replaceAll('\n\n- ', '\n- ')
    .replace('\n- ', '\n\n- ');
}

/** The members of `ErrorCode`, each with its comment. */
export function errorCodes(): { readonly name: string; readonly about: string }[] {
  const text = readFileSync(join(root, TABLE), 'utf8');
  const source = ts.createSourceFile(TABLE, text, ts.ScriptTarget.Latest, true);
  const union = source.statements.find(
    (statement): statement is ts.TypeAliasDeclaration =>
      ts.isTypeAliasDeclaration(statement) && statement.name.text === 'ErrorCode',
  )!.type as ts.UnionTypeNode;
  return union.types.map((member) => {
    const before = text.slice(0, member.getStart());
    const about = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*\|\s*$/.exec(before)?.[1] ?? '';
    return {
      name: ((member as ts.LiteralTypeNode).literal as ts.StringLiteral).text,
      about: about.replace(/^\s*\* ?/gm, ' ').trim(),
    };
  });
}

/** All places of the packages that make an error with a code that is written there. */
export function thrownMessages(): ThrownMessage[] {
  return readdirSync(join(root, 'packages'))
    .filter((name) => existsSync(join(root, 'packages', name, 'src')))
    .flatMap((name) => {
      const folder = join(root, 'packages', name, 'src');
      return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file));
    })
    .filter((file) => /(?<!\.test)\.ts$/.test(file) && !/test-support|packages.testing/.test(file))
    .sort()
    .flatMap(messagesOfFile);
}

function messagesOfFile(file: string): ThrownMessage[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const found: ThrownMessage[] = [];
  const visit = (node: ts.Node): void => {
    const message = messageOf(node);
    if (message) found.push({ ...message, file: relative(root, file) });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/**
 * `new QdyloraError('CODE', { problem, nextStep })`, `super('CODE', …)`, `badArgument` and
 * `assertArgument`.
 */
function messageOf(node: ts.Node): Omit<ThrownMessage, 'file'> | null {
  if (!ts.isNewExpression(node) && !ts.isCallExpression(node)) return null;
  const callee = node.expression.getText();
  const [first, second, third, fourth] = node.arguments ?? [];
  if (callee === 'badArgument' && second)
    return { code: 'BAD_ARGUMENT', problem: messageText(second), nextStep: '' };
  if (callee === 'assertArgument' && third)
    return { code: 'BAD_ARGUMENT', problem: messageText(third), nextStep: fourth ? messageText(fourth) : '' };
  if (callee === 'refusedValue' && third)
    return { code: 'BAD_CONFIG', problem: messageText(third), nextStep: fourth ? messageText(fourth) : '' };
  if (!['QdyloraError', 'super'].includes(callee) || !first || !ts.isStringLiteral(first)) return null;
  if (!second || !ts.isObjectLiteralExpression(second)) return null;
  const field = (name: string): string => {
    const property = second.properties.find((each) => each.name?.getText() === name);
    return property && ts.isPropertyAssignment(property) ? messageText(property.initializer) : '';
  };
  return { code: first.text, problem: field('problem'), nextStep: field('nextStep') };
}

/** A string as far as the source shows it; values side by side are one `…`. */
const messageText = (node: ts.Node): string => textOf(node).replace(/…+/g, '…');

function textOf(node: ts.Node): string {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node))
    return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('');
  if (ts.isBinaryExpression(node)) return textOf(node.left) + textOf(node.right);
  if (ts.isParenthesizedExpression(node)) return textOf(node.expression);
  if (ts.isArrowFunction(node)) return textOf(node.body);
  if (ts.isConditionalExpression(node)) return textOf(node.whenFalse);
  return '…';
}

export const codeLink = (name: string): string => `[${code(name)}](/reference/errors#${anchor(name)})`;
