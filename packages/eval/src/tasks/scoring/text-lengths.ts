/** Runs of what Python's `\s` matches. */
const SPACES = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/**
 * Words between white space, with empty ones at the edges, and UTF-8 bytes: what perplexities are divided by.
 */
export const textLengths = (text: string): { readonly words: number; readonly bytes: number } => ({
  words: text.split(SPACES).length,
  bytes: Buffer.byteLength(text, 'utf8'),
});
