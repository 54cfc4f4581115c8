import { QdyloraError } from '@qdylora/contract';
import type { Program } from '../jinja/nodes.ts';
import { UnknownJinja } from '../jinja/python/values.ts';
import { readProgram, readTokens, type Tokens } from '../jinja/syntax.ts';
import { firstBadTag, tagPlace } from './template-place.ts';

/** The longest template accepted. Templates of models have up to 20 kB. */
const MAX_SOURCE = 2 ** 20;

/** What a template is, for errors, and how its whitespace is read. */
export interface TemplateKind {
  /** Where the template is written. */
  readonly where: string;
  readonly nextStep: string;
  readonly read: (source: string) => Tokens;
}

export const CHAT_TEMPLATE: TemplateKind = {
  where: 'chat template',
  nextStep: "Write this tag another way, or use the chat_template of the tokenizer's own model.",
  read: readTokens,
};

/**
 * Parses a template.
 *
 * @throws QdyloraError with line and column: BAD_CONFIG if it is not Jinja, UNSUPPORTED for Jinja that is not
 * implemented
 */
export function parseTemplate(source: string, kind: TemplateKind = CHAT_TEMPLATE): Program {
  const unreadable = (place: string, cause: unknown): QdyloraError =>
    notJinja(kind, `The template cannot be read at ${place}: ${shownProblem(cause as Error, place)}`, cause);
  if (source.length > MAX_SOURCE)
    throw notJinja(kind, `The template has ${source.length} characters; at most ${MAX_SOURCE} are read`);
  let tokens: Tokens;
  try {
    tokens = kind.read(source);
  } catch (cause) {
    throw unreadable(firstBadTag(source, kind.read), cause);
  }
  // The parser reports what is missing, but not where. The last token that it read is the place.
  let furthest = 0;
  const watched = new Proxy(tokens, {
    get(list, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) furthest = Math.max(furthest, Number(key));
      return Reflect.get(list, key) as unknown;
    },
  });
  try {
    return readProgram(watched);
  } catch (cause) {
    const tags = tokens
      .slice(0, furthest + 1)
      .filter(({ type }) => type === 'OpenStatement' || type === 'OpenExpression').length;
    throw unreadable(tagPlace(source, Math.max(0, tags - 1)), cause);
  }
}

/** The parser's message, with a generation mark in place of the block that it became. */
const shownProblem = ({ message }: Error, place: string): string =>
  place.includes('endgeneration') ? message.replace('endfilter', 'endgeneration') : message;

const notJinja = ({ where, nextStep }: TemplateKind, problem: string, cause?: unknown): QdyloraError =>
  new QdyloraError(cause instanceof UnknownJinja ? 'UNSUPPORTED' : 'BAD_CONFIG', {
    where,
    problem,
    nextStep,
    cause,
  });
