import type { Argument, Expression, Identifier, KeywordArgument, Parameter } from '../nodes.ts';
import type { TokenCursor } from './token-cursor.ts';

/** `parseExpression`, which itself parses calls. */
type ParseExpression = (cursor: TokenCursor) => Expression;

/** `(1, b=2, *list, **dict)` */
export function parseCallArguments(
  cursor: TokenCursor,
  parseExpression: ParseExpression,
): readonly Argument[] {
  const args: Argument[] = [];
  cursor.expect('OpenParen', '`(`');
  while (!cursor.is('CloseParen')) {
    if (args.length > 0) {
      cursor.expect('Comma', '`,`');
      if (cursor.is('CloseParen')) break;
    }
    const argument = parseArgument(cursor, parseExpression);
    assertOrder(args, argument);
    args.push(argument);
  }
  cursor.expect('CloseParen', '`)`');
  return args;
}

function parseArgument(cursor: TokenCursor, parseExpression: ParseExpression): Argument {
  if (cursor.is('MultiplicativeBinaryOperator', '*')) {
    cursor.take();
    return { type: 'SpreadExpression', argument: parseExpression(cursor) };
  }
  if (cursor.skip('ExponentiationBinaryOperator'))
    return { type: 'KeywordSpreadExpression', argument: parseExpression(cursor) };
  if (cursor.is('Identifier') && cursor.peek(1)?.type === 'Equals')
    return parseKeyword(cursor, parseExpression);
  return parseExpression(cursor);
}

function parseKeyword(cursor: TokenCursor, parseExpression: ParseExpression): KeywordArgument {
  const key = parseName(cursor);
  cursor.expect('Equals', '`=`');
  return { type: 'KeywordArgumentExpression', key, value: parseExpression(cursor) };
}

/** Order of the kinds of arguments: each may follow only those before it. @throws SyntaxError */
function assertOrder(before: readonly Argument[], { type }: Argument): void {
  const has = (...types: readonly string[]): boolean => before.some((other) => types.includes(other.type));
  const isAllowed =
    type === 'KeywordSpreadExpression'
      ? !has('KeywordSpreadExpression')
      : type === 'KeywordArgumentExpression'
        ? !has('KeywordSpreadExpression')
        : type === 'SpreadExpression'
          ? !has('SpreadExpression', 'KeywordSpreadExpression')
          : !has('SpreadExpression', 'KeywordSpreadExpression', 'KeywordArgumentExpression');
  if (!isAllowed)
    throw new SyntaxError('arguments by position come first, then those by name, `*list` and `**dict`');
}

/** The parameters of a macro: `(a, b=1)` */
export function parseParameters(cursor: TokenCursor, parseExpression: ParseExpression): readonly Parameter[] {
  const parameters: Parameter[] = [];
  cursor.expect('OpenParen', '`(`');
  while (!cursor.is('CloseParen')) {
    if (parameters.length > 0) cursor.expect('Comma', '`,`');
    const hasDefault = cursor.peek(1)?.type === 'Equals';
    if (!hasDefault && parameters.at(-1)?.type === 'KeywordArgumentExpression')
      throw new SyntaxError('a parameter without a default follows one that has a default');
    parameters.push(hasDefault ? parseKeyword(cursor, parseExpression) : parseName(cursor));
  }
  cursor.expect('CloseParen', '`)`');
  return parameters;
}

export function parseName(cursor: TokenCursor): Identifier {
  return { type: 'Identifier', value: cursor.expect('Identifier', 'a name').value };
}
