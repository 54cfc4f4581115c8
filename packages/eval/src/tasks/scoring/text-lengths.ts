import { PYTHON_SPACE } from '@qdylora/data';

/** Runs of what Python's `\s` matches. */
const SPACES = new RegExp(`[${PYTHON_SPACE}]+`);

/**
 * Words between white space, with empty ones at the edges, and UTF-8 bytes: what perplexities are divided by.
 */
export const textLengths = (text: string): { readonly words: number; readonly bytes: number } => ({
  words: text.split(SPACES).length,
  bytes: Buffer.byteLength(text, 'utf8'),
});
