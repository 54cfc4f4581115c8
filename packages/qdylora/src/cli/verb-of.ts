/** The command of a command line: its first word that is no flag. */
export const verbOf = (words: readonly string[]): string | undefined =>
  words.find((word) => !word.startsWith('-'));
