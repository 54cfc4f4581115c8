/** What a tag may hold before its end: whole strings, and other characters. */
const INSIDE = String.raw`(?:'(?:\\[\s\S]|[^'\\])*'|"(?:\\[\s\S]|[^"\\])*"|[^'"])*?`;

/** A comment, a statement or an expression, whole. */
const TAG = new RegExp(String.raw`\{#[\s\S]*?#\}|\{%${INSIDE}%\}|\{\{${INSIDE}\}\}`, 'y');

/**
 * Removes the spaces before a statement or a comment that begins a line, and the newline behind one, as Jinja
 * does with `lstrip_blocks` and `trim_blocks`. The option of the library would also remove them where no tag
 * is: in text (`100%}`) and in strings.
 */
export function trimBlocks(source: string): string {
  let trimmed = '';
  let at = 0;
  for (let start = nextTag(source, at); start >= 0; start = nextTag(source, at)) {
    TAG.lastIndex = start;
    const tag = TAG.exec(source)?.[0];
    if (tag === undefined) break; // it has no end, which the lexer reports
    const isExpression = tag.startsWith('{{');
    const text = source.slice(at, start);
    trimmed += (isExpression ? text : withoutIndent(text, at === 0 || source[at - 1] === '\n')) + tag;
    at = start + tag.length;
    if (!isExpression && source[at] === '\n') at++;
  }
  return trimmed + source.slice(at);
}

/** Where the next tag begins; -1 if there is none. */
function nextTag(source: string, from: number): number {
  const opening = /\{[{%#]/g;
  opening.lastIndex = from;
  return opening.exec(source)?.index ?? -1;
}

/** Removes the last line of a text, if it is whole and holds only spaces. */
function withoutIndent(text: string, beginsLine: boolean): string {
  const lineStart = text.lastIndexOf('\n') + 1;
  const isWhole = lineStart > 0 || beginsLine;
  return isWhole && /^[ \t]*$/.test(text.slice(lineStart)) ? text.slice(0, lineStart) : text;
}
