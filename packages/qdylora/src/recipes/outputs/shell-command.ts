/** `npx qdylora …`, to paste into a shell: words with special characters are quoted. */
export const shellCommand = (words: readonly string[]): string =>
  ['npx', 'qdylora', ...words].map(shellWord).join(' ');

/** A word as a shell reads it back. */
export const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
