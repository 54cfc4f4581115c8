/** Noncharacters: they have no meaning in any text, so no template reacts to them. */
const OPEN = '\ufdd0';
const CLOSE = '\ufdd1';

export interface MarkedText {
  readonly text: string;
  /** `[start, end)` in UTF-16 units of `text`, in order. */
  readonly spans: readonly (readonly [number, number])[];
}

/** True for a template that marks assistant text with `{% generation %}`. */
export const hasGenerationMarks = (template: string): boolean => /\{%-?\s*generation\s*-?%\}/.test(template);

/**
 * Replaces the marks by characters. They are written as a block, so that white space around them is trimmed
 * as before.
 */
export const writeMarks = (template: string): string =>
  template.replace(
    /\{%(-?)\s*(end)?generation\s*(-?)%\}/g,
    (_, left: string, end: string | undefined, right: string) =>
      `{%${left} if true %}${end ? CLOSE : OPEN}{% endif ${right}%}`,
  );

/**
 * Replaces the marks by comments, for a rendering without spans. A comment bounds the white space that `{{-`
 * beside it strips, as the mark does in Jinja; the parser would delete the mark before that. The source keeps
 * its length, so that places in errors stay right. Marks within comments are none.
 */
export const hideMarks = (template: string): string =>
  template.replace(/\{#[\s\S]*?(?:#\}|$)|\{%(-?\s*(?:end)?generation\s*-?)%\}/g, (whole, mark?: string) =>
    mark === undefined ? whole : `{#${mark}#}`,
  );

/** Separates a rendering of such a template into its text and the spans between marks. */
export function readMarks(rendered: string): MarkedText {
  const spans: [number, number][] = [];
  let text = '';
  let start = 0;
  for (const part of rendered.split(/([\ufdd0\ufdd1])/)) {
    if (part === OPEN) start = text.length;
    else if (part === CLOSE) spans.push([start, text.length]);
    else text += part;
  }
  return { text, spans };
}
