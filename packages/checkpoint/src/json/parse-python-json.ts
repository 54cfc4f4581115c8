/** A string, or one of the three numbers that Python writes and JSON has no words for. */
const WORDS = /"(?:[^"\\]|\\[^])*"|-?\bInfinity\b|\bNaN\b/g;

const MARK = '\u0000number:';

/**
 * JSON as Python reads it: `NaN`, `Infinity` and `-Infinity` are numbers too.
 *
 * @throws SyntaxError for anything else that is no JSON
 */
export function parsePythonJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    let found = false;
    const marked = text.replace(WORDS, (word) => {
      if (word.startsWith('"')) return word;
      found = true;
      return JSON.stringify(MARK + word);
    });
    if (!found) throw error;
    return JSON.parse(marked, (_, value: unknown) =>
      typeof value === 'string' && value.startsWith(MARK) ? Number(value.slice(MARK.length)) : value,
    );
  }
}
