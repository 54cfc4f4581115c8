/** Noncharacters: they have no meaning in any text, so a template cannot trip over them. */
const OPEN = '\ufdd0';
const CLOSE = '\ufdd1';

export interface MarkedText {
  readonly text: string;
  /** `[start, end)` in UTF-16 units of `text`, in order. */
  readonly spans: readonly (readonly [number, number])[];
}

/** True for a template whose author marked what the assistant says with `{% generation %}`. */
export const hasGenerationMarks = (template: string): boolean => /\{%-?\s*generation\s*-?%\}/.test(template);

/**
 * The template with characters written where the marks stand; as a block, so that whitespace around it is
 * treated as before.
 */
export const writeMarks = (template: string): string =>
  template.replace(
    /\{%(-?)\s*(end)?generation\s*(-?)%\}/g,
    (_, left: string, end: string | undefined, right: string) =>
      `{%${left} if true %}${end ? CLOSE : OPEN}{% endif ${right}%}`,
  );

/** A rendering of such a template, taken apart: its text and what stood between marks. */
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
