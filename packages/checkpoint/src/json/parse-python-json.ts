/** A string, or one of the three numbers that Python writes and JSON does not have. None of them is a key. */
const WORDS = /"(?:[^"\\]|\\[^])*"|(?:-?\bInfinity\b|\bNaN\b)(?!\s*:)/g;

const MARK = '\u0000number:';

/**
 * Parses JSON as Python does: `NaN`, `Infinity` and `-Infinity` are numbers.
 *
 * @throws SyntaxError for any other invalid JSON
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
