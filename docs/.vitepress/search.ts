// How the search reads pages and questions. VitePress writes these functions into the site by their source
// text, so each uses nothing from outside of it.

export const SEARCH_INDEX = {
  /** Words, and also whole names: `BAD_ROW` is a term beside `BAD` and `ROW`. */
  tokenize: (text: string): string[] => [
    ...text.split(/[\n\r\p{Z}\p{P}]+/u),
    ...(text.match(/\w+(?:[_-]\w+)+/g) ?? []),
  ],
};

export const SEARCH_QUERY = {
  /** People ask in sentences: the words of a question find nothing. */
  processTerm: (term: string): string | null =>
    /^(a|an|and|are|can|do|does|for|how|i|in|is|it|me|mean|means|my|of|on|the|to|use|what|with)$/i.test(term)
      ? null
      : term.toLowerCase(),
  /** The API is most of the text. Who wants it writes the name of a function. */
  boostDocument: (page: string): number => (page.includes('/reference/api/') ? 0.25 : 1),
};
