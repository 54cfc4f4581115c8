import type { Binary, Comparison, Expression, FilterOrTest, Identifier, Slice } from '../nodes.ts';
import { UnknownJinja } from '../python/values.ts';
import { parseCallArguments, parseName } from './parse-arguments.ts';
import { shownToken, type Token, type TokenCursor } from './token-cursor.ts';

/**
 * Parses an expression with the precedences of Jinja, from the loosest on: `a if b else c`, `or`, `and`,
 * `not`, comparisons, `+ -`, `~`, `* / // %`, `**`, signs, filters and tests, and members and calls.
 *
 * Source: Jinja 3.1.6, `jinja2/parser.py`.
 * @throws SyntaxError for what is not Jinja; UnknownJinja for syntax that is not supported
 */
export function parseExpression(cursor: TokenCursor): Expression {
  let value = parseOr(cursor);
  while (cursor.skipWord('if')) {
    const condition = parseOr(cursor);
    value = cursor.skipWord('else')
      ? { type: 'Ternary', condition, trueExpr: value, falseExpr: parseExpression(cursor) }
      : { type: 'SelectExpression', lhs: value, test: condition };
  }
  return value;
}

/**
 * One expression, or a tuple without parentheses: `a, b`
 *
 * @param parseItem parses an item; by default any expression
 */
export function parseSequence(
  cursor: TokenCursor,
  parseItem: (cursor: TokenCursor) => Expression = parseExpression,
): Expression {
  const first = parseItem(cursor);
  if (!cursor.is('Comma')) return first;
  const items = [first];
  while (cursor.skip('Comma')) {
    if (isSequenceEnd(cursor)) break;
    items.push(parseItem(cursor));
  }
  return { type: 'TupleLiteral', value: items };
}

const isSequenceEnd = (cursor: TokenCursor): boolean =>
  ['CloseExpression', 'CloseStatement', 'CloseParen'].includes(cursor.peek()?.type ?? '');

/** An expression that is no choice, as behind `in` of a loop: its `if` is the loop's. */
export function parseOr(cursor: TokenCursor): Expression {
  return parseOperations(cursor, parseAnd, () => cursor.isWord('or'));
}

function parseAnd(cursor: TokenCursor): Expression {
  return parseOperations(cursor, parseNot, () => cursor.isWord('and'));
}

/** Operands between operators of one precedence, which group from the left. */
function parseOperations(
  cursor: TokenCursor,
  operand: (cursor: TokenCursor) => Expression,
  isOperator: () => boolean,
): Expression {
  let left = operand(cursor);
  while (isOperator()) left = binary(left, cursor.take(), operand(cursor));
  return left;
}

const binary = (left: Expression, operator: Binary['operator'], right: Expression): Binary => ({
  type: 'BinaryExpression',
  operator,
  left,
  right,
});

function parseNot(cursor: TokenCursor): Expression {
  if (!cursor.isWord('not')) return parseComparison(cursor);
  return { type: 'UnaryExpression', operator: cursor.take(), argument: parseNot(cursor) };
}

function parseComparison(cursor: TokenCursor): Expression {
  const first = parseSum(cursor);
  const others: Comparison[] = [];
  for (let operator = takeComparison(cursor); operator; operator = takeComparison(cursor))
    others.push({ operator, operand: parseSum(cursor) });
  const [only] = others;
  if (!only) return first;
  return others.length === 1
    ? binary(first, only.operator, only.operand)
    : { type: 'ComparisonChain', first, others };
}

function takeComparison(cursor: TokenCursor): Token | null {
  if (cursor.is('ComparisonBinaryOperator') || cursor.isWord('in')) return cursor.take();
  if (!cursor.isWord('not') || cursor.peek(1)?.value !== 'in') return null;
  cursor.take();
  return { ...cursor.take(), value: 'not in' };
}

function parseSum(cursor: TokenCursor): Expression {
  return parseOperations(cursor, parseJoin, () => isAdditive(cursor) && !isTilde(cursor));
}

function parseJoin(cursor: TokenCursor): Expression {
  return parseOperations(cursor, parseProduct, () => isTilde(cursor));
}

const isAdditive = (cursor: TokenCursor): boolean =>
  cursor.is('AdditiveBinaryOperator') || cursor.is('UnaryOperator');
const isTilde = (cursor: TokenCursor): boolean => cursor.is('AdditiveBinaryOperator', '~');

function parseProduct(cursor: TokenCursor): Expression {
  return parseOperations(cursor, parsePower, () => cursor.is('MultiplicativeBinaryOperator'));
}

function parsePower(cursor: TokenCursor): Expression {
  return parseOperations(cursor, parseSigned, () => cursor.is('ExponentiationBinaryOperator'));
}

/** A signed value with its filters and tests: `-a | abs is odd` */
function parseSigned(cursor: TokenCursor): Expression {
  let operand = parseSign(cursor);
  for (;;) {
    if (cursor.skip('Pipe')) operand = { type: 'FilterExpression', operand, filter: parseFilterName(cursor) };
    else if (cursor.skipWord('is')) operand = parseTest(cursor, operand);
    else if (cursor.is('OpenParen')) operand = parseCall(cursor, operand);
    else return operand;
  }
}

function parseSign(cursor: TokenCursor): Expression {
  if (!isAdditive(cursor) || isTilde(cursor)) return parseMembers(cursor, parsePrimary(cursor));
  const operator = cursor.take();
  return { type: 'UnaryExpression', operator, argument: parseSign(cursor) };
}

/** The members and calls behind a value: `.a[0](b)` */
export function parseMembers(cursor: TokenCursor, value: Expression): Expression {
  let object = value;
  for (;;) {
    if (cursor.skip('Dot'))
      object = { type: 'MemberExpression', object, property: parseAttribute(cursor), computed: false };
    else if (cursor.skip('OpenSquareBracket'))
      object = { type: 'MemberExpression', object, property: parseSubscript(cursor), computed: true };
    else if (cursor.is('OpenParen')) object = parseCall(cursor, object);
    else return object;
  }
}

const parseCall = (cursor: TokenCursor, callee: Expression): Expression => ({
  type: 'CallExpression',
  callee,
  args: parseCallArguments(cursor, parseExpression),
});

function parseAttribute(cursor: TokenCursor): Expression {
  const token = cursor.peek();
  if (token?.type === 'NumericLiteral' && /^\d+$/.test(token.value)) return parseNumber(cursor);
  return parseName(cursor);
}

function parseSubscript(cursor: TokenCursor): Expression | Slice {
  const start = cursor.is('Colon') ? undefined : parseExpression(cursor);
  if (cursor.skip('CloseSquareBracket')) return start!;
  if (cursor.is('Comma')) throw new UnknownJinja('Unknown subscript: several indices');
  cursor.expect('Colon', '`]`');
  const bound = (): Expression | undefined =>
    cursor.is('Colon') || cursor.is('CloseSquareBracket') ? undefined : parseExpression(cursor);
  const stop = bound();
  const step = cursor.skip('Colon') ? bound() : undefined;
  cursor.expect('CloseSquareBracket', '`]`');
  return { type: 'SliceExpression', start, stop, step };
}

/** The name of a filter, with its arguments. */
export function parseFilterName(cursor: TokenCursor): FilterOrTest {
  const name = parseDottedName(cursor);
  return cursor.is('OpenParen') ? withArguments(cursor, name) : name;
}

const withArguments = (cursor: TokenCursor, callee: Identifier): FilterOrTest => ({
  type: 'CallExpression',
  callee,
  args: parseCallArguments(cursor, parseExpression),
});

function parseDottedName(cursor: TokenCursor): Identifier {
  let name = parseName(cursor);
  while (cursor.skip('Dot')) name = { ...name, value: `${name.value}.${parseName(cursor).value}` };
  return name;
}

/** What may be the argument of a test without parentheses: `is divisibleby 3` */
const BARE_ARGUMENTS: ReadonlySet<string> = new Set([
  'Identifier',
  'StringLiteral',
  'NumericLiteral',
  'OpenSquareBracket',
  'OpenCurlyBracket',
]);

function parseTest(cursor: TokenCursor, operand: Expression): Expression {
  const negate = cursor.skipWord('not');
  const test = parseDottedName(cursor);
  const done = (named: FilterOrTest): Expression => ({
    type: 'TestExpression',
    operand,
    negate,
    test: named,
  });
  if (cursor.is('OpenParen')) return done(withArguments(cursor, test));
  const isBare = BARE_ARGUMENTS.has(cursor.peek()?.type ?? '') && !cursor.isWord('else', 'or', 'and');
  if (!isBare) return done(test);
  if (cursor.isWord('is')) throw new SyntaxError('tests cannot be chained with `is`; join them by `and`');
  // Jinja takes any word here, also `if`, `in` and `not`
  return done({ type: 'CallExpression', callee: test, args: [parseMembers(cursor, parsePrimary(cursor))] });
}

/** A name, a literal, or an expression in parentheses. */
export function parsePrimary(cursor: TokenCursor): Expression {
  const token = cursor.peek();
  switch (token?.type) {
    case 'NumericLiteral':
      return parseNumber(cursor);
    case 'StringLiteral': {
      let value = '';
      while (cursor.is('StringLiteral')) value += cursor.take().value;
      return { type: 'StringLiteral', value };
    }
    case 'Identifier':
      return parseName(cursor);
    case 'OpenParen': {
      cursor.take();
      const isEmpty = cursor.is('CloseParen');
      const value: Expression = isEmpty ? { type: 'TupleLiteral', value: [] } : parseSequence(cursor);
      cursor.expect('CloseParen', '`)`');
      return value;
    }
    case 'OpenSquareBracket':
      return parseList(cursor);
    case 'OpenCurlyBracket':
      return parseMapping(cursor);
    default:
      throw new SyntaxError(`a value is missing ${token ? `before ${shownToken(token)}` : 'at the end'}`);
  }
}

/** Ends of numbers that the lexer takes for names: those of 1e5, 1_000 and 0xff. */
const NUMBER_END = /^(?:e\d*|(?:_\d+)+|x_?[\da-f]+(?:_[\da-f]+)*|[bo]_?\d+(?:_\d+)*)$/i;

function parseNumber(cursor: TokenCursor): Expression {
  const { value } = cursor.take();
  const next = cursor.peek();
  if (next?.type === 'Identifier' && NUMBER_END.test(next.value))
    throw new UnknownJinja(`Unknown number: ${value}${next.value}`);
  return { type: value.includes('.') ? 'FloatLiteral' : 'IntegerLiteral', value: Number(value) };
}

function parseList(cursor: TokenCursor): Expression {
  cursor.take();
  const value = parseItems(cursor, ['CloseSquareBracket', '`]`'], () => parseExpression(cursor));
  return { type: 'ArrayLiteral', value };
}

function parseMapping(cursor: TokenCursor): Expression {
  cursor.take();
  const entries = parseItems(cursor, ['CloseCurlyBracket', '`}`'], () => {
    const key = parseExpression(cursor);
    cursor.expect('Colon', '`:`');
    return [key, parseExpression(cursor)] as const;
  });
  return { type: 'ObjectLiteral', value: new Map(entries) };
}

/** Items between commas, up to a closing bracket, which is read too; a comma may follow the last item. */
function parseItems<T>(cursor: TokenCursor, [close, name]: readonly [string, string], parse: () => T): T[] {
  const items: T[] = [];
  while (!cursor.is(close)) {
    items.push(parse());
    if (!cursor.skip('Comma')) break;
  }
  cursor.expect(close, name);
  return items;
}
