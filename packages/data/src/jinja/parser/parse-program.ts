import type { Expression, For, If, Parameter, Program, Statement, With } from '../nodes.ts';
import { UnknownJinja } from '../python/values.ts';
import { parseName, parseParameters } from './parse-arguments.ts';
import {
  parseExpression,
  parseFilterName,
  parseMembers,
  parseOr,
  parsePrimary,
  parseSequence,
} from './parse-expression.ts';
import { TokenCursor, type Token } from './token-cursor.ts';

/**
 * Parses a template, as Jinja 3.1.6 does.
 *
 * @throws SyntaxError for what is not Jinja; UnknownJinja for syntax that is not supported
 */
export function parseProgram(tokens: readonly Token[]): Program {
  const cursor = new TokenCursor(tokens);
  const body: Statement[] = [];
  while (cursor.peek()) body.push(parsePart(cursor));
  return { type: 'Program', body };
}

function parsePart(cursor: TokenCursor): Statement {
  const token = cursor.take();
  switch (token.type) {
    case 'Text':
      return { type: 'StringLiteral', value: token.value };
    case 'Comment':
      return { type: 'Comment', value: token.value };
    case 'OpenExpression': {
      const expression = parseSequence(cursor);
      cursor.expect('CloseExpression', '`}}`');
      return expression;
    }
    default:
      return parseStatement(cursor);
  }
}

/** Statements of Jinja that are not supported. */
const UNSUPPORTED_STATEMENTS: ReadonlySet<string> = new Set([
  'autoescape',
  'block',
  'extends',
  'from',
  'import',
  'include',
  'print',
]);

const STATEMENTS: ReadonlyMap<string, (cursor: TokenCursor) => Statement> = new Map([
  ['if', parseIf],
  ['for', parseFor],
  ['set', parseSet],
  ['with', parseWith],
  ['macro', parseMacro],
  ['call', parseCallBlock],
  ['filter', parseFilterBlock],
  ['break', (): Statement => ({ type: 'Break' })],
  ['continue', (): Statement => ({ type: 'Continue' })],
]);

/** A statement behind its `{%`. */
function parseStatement(cursor: TokenCursor): Statement {
  const { value: name } = cursor.expect('Identifier', 'the name of a statement');
  const parse = STATEMENTS.get(name);
  if (UNSUPPORTED_STATEMENTS.has(name)) throw new UnknownJinja(`Unknown statement type: ${name}`);
  if (!parse) throw new SyntaxError(`Unknown statement type: ${name}`);
  const statement = parse(cursor);
  cursor.expect('CloseStatement', '`%}`');
  return statement;
}

/** The statements of a block, up to `{%` and one of the words that end it, which is read too. */
function parseBlock(
  cursor: TokenCursor,
  ...ends: readonly string[]
): { readonly body: readonly Statement[]; readonly end: string } {
  cursor.skip('Colon');
  cursor.expect('CloseStatement', '`%}`');
  const body: Statement[] = [];
  while (!cursor.isStatement(...ends)) {
    if (!cursor.peek()) throw new SyntaxError(`{% ${ends.at(-1)!} %} is missing at the end`);
    body.push(parsePart(cursor));
  }
  cursor.take();
  return { body, end: cursor.take().value };
}

function parseIf(cursor: TokenCursor): If {
  const test = parseSequence(cursor, parseOr);
  const { body, end } = parseBlock(cursor, 'elif', 'else', 'endif');
  const alternate =
    end === 'elif' ? [parseIf(cursor)] : end === 'else' ? parseBlock(cursor, 'endif').body : [];
  return { type: 'If', test, body, alternate };
}

function parseFor(cursor: TokenCursor): For {
  const loopvar = parseTarget(cursor);
  cursor.expectWord('in');
  const list = parseSequence(cursor, parseOr);
  const iterable: Expression = cursor.skipWord('if')
    ? { type: 'SelectExpression', lhs: list, test: parseExpression(cursor) }
    : list;
  if (cursor.isWord('recursive')) throw new UnknownJinja('Unknown statement type: a recursive loop');
  const { body, end } = parseBlock(cursor, 'else', 'endfor');
  const defaultBlock = end === 'else' ? parseBlock(cursor, 'endfor').body : [];
  return { type: 'For', loopvar, iterable, body, defaultBlock };
}

function parseSet(cursor: TokenCursor): Statement {
  const target = parseTarget(cursor);
  if (cursor.skip('Equals')) return { type: 'Set', assignee: target, value: parseSequence(cursor), body: [] };
  let assignee = target; // a filter makes it something that the evaluator refuses
  while (cursor.skip('Pipe'))
    assignee = { type: 'FilterExpression', operand: assignee, filter: parseFilterName(cursor) };
  return { type: 'Set', assignee, value: null, body: parseBlock(cursor, 'endset').body };
}

function parseWith(cursor: TokenCursor): With {
  const targets: Expression[] = [];
  const values: Expression[] = [];
  while (!cursor.is('CloseStatement') && !cursor.is('Colon')) {
    if (targets.length > 0) cursor.expect('Comma', '`,`');
    targets.push(parseTarget(cursor));
    cursor.expect('Equals', '`=`');
    values.push(parseExpression(cursor));
  }
  return { type: 'With', targets, values, body: parseBlock(cursor, 'endwith').body };
}

/** What a value is assigned to: a name, several, or `namespace.name`. */
function parseTarget(cursor: TokenCursor): Expression {
  return parseSequence(cursor, parseTargetItem);
}

function parseTargetItem(cursor: TokenCursor): Expression {
  const target = parsePrimary(cursor);
  assertTarget(target);
  if (target.type !== 'Identifier' || !cursor.skip('Dot')) return target;
  return { type: 'MemberExpression', object: target, property: parseName(cursor), computed: false };
}

const CONSTANTS: ReadonlySet<string> = new Set(['true', 'false', 'none', 'True', 'False', 'None']);

/** @throws SyntaxError for what no value can be assigned to */
function assertTarget(target: Expression): void {
  if (target.type === 'TupleLiteral') target.value.forEach(assertTarget);
  else if (target.type !== 'Identifier' || CONSTANTS.has(target.value))
    throw new SyntaxError('a value can be assigned only to names, and to attributes of a namespace');
}

function parseMacro(cursor: TokenCursor): Statement {
  const name = parseName(cursor);
  const args = parseParameters(cursor, parseExpression);
  return { type: 'Macro', name, args, body: parseBlock(cursor, 'endmacro').body };
}

function parseCallBlock(cursor: TokenCursor): Statement {
  const callerArgs: readonly Parameter[] | null = cursor.is('OpenParen')
    ? parseParameters(cursor, parseExpression)
    : null;
  const call = parseMembers(cursor, parsePrimary(cursor));
  if (call.type !== 'CallExpression') throw new SyntaxError('a call is missing behind `call`');
  const { body } = parseBlock(cursor, 'endcall');
  return { type: 'CallStatement', call, callerArgs, body };
}

function parseFilterBlock(cursor: TokenCursor): Statement {
  const filter = parseFilterName(cursor);
  if (cursor.is('Pipe')) throw new UnknownJinja('Unknown statement type: a block of several filters');
  return { type: 'FilterStatement', filter, body: parseBlock(cursor, 'endfilter').body };
}
