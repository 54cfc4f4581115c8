import { tokenize } from '@huggingface/jinja';
import type { Program } from './nodes.ts';
import { parseProgram } from './parser/parse-program.ts';
import type { Token } from './parser/token-cursor.ts';
import { plainSource } from './plain-source.ts';

export type Tokens = readonly Token[];

/** Every line end of a template is read as \n, as in Jinja: a file may have been saved on Windows. */
const withLineFeeds = (source: string): string => source.replaceAll(/\r\n?/g, '\n');

const tokensOf = (source: string): Tokens => tokenize(source, { lstrip_blocks: false, trim_blocks: false });

/** Tokens of a template, with the whitespace around blocks trimmed as transformers does. */
export const readTokens = (source: string): Tokens =>
  tokensOf(plainSource(withLineFeeds(source), { isTrimmed: true }));

/** Tokens of a template of the harness: whitespace around blocks stays, also the last newline. */
export const readUntrimmedTokens = (source: string): Tokens => {
  const text = withLineFeeds(source);
  return tokensOf(plainSource(text.endsWith('\n') ? `${text}\n` : text, { isTrimmed: false }));
};

export const readProgram = (tokens: Tokens): Program => parseProgram(tokens);
