/** Noncharacters: they have no meaning in any text, so no template reacts to them. */
const OPEN = '\ufdd0';
const CLOSE = '\ufdd1';

export interface MarkedText {
  readonly text: string;
  /** `[start, end)` in UTF-16 units of `text`, in order. */
  readonly spans: readonly (readonly [number, number])[];
}

/** A mark, or a comment: marks inside comments do not count. */
const COMMENT_OR_MARK =
  /\{#[\s\S]*?(?:#\}|$)|\{%(?<left>-?)(?<before>\s*)(?<end>end)?generation(?<behind>\s*)(?<right>-?)%\}/g;

/** The parts of a mark, which a comment has not; `end` only in one that ends a span. */
interface Mark {
  readonly left: string;
  readonly before: string;
  readonly end?: string;
  readonly behind: string;
  readonly right: string;
}

const replaceMarks = (template: string, written: (mark: Mark) => string): string =>
  template.replace(COMMENT_OR_MARK, (text: string, ...rest: unknown[]) => {
    const mark = rest.at(-1) as Partial<Mark>;
    return mark.left === undefined ? text : written(mark as Mark);
  });

/** True for a template that marks assistant text with `{% generation %}`. */
export const hasGenerationMarks = (template: string): boolean =>
  [...template.matchAll(COMMENT_OR_MARK)].some(
    ({ groups }) => groups!.left !== undefined && groups!.end === undefined,
  );

/**
 * The marks become a block of the filter `d`, which changes no text, because Jinja's `{% generation %}` is a
 * block with names of its own.
 */
const BLOCK_STARTS = 'filter d  ';
const BLOCK_ENDS = 'endfilter    ';

/**
 * Replaces the marks by characters around a block. Comments take over the `-` on the outer side of each mark.
 */
export const writeMarks = (template: string): string =>
  replaceMarks(template, ({ left, end, right }) =>
    end
      ? `{%${left} ${BLOCK_ENDS}%}${CLOSE}{# ${right}#}`
      : `{#${left} #}${OPEN}{% ${BLOCK_STARTS}${right}%}`,
  );

/**
 * Replaces the marks by a block without characters, for a rendering without spans. The source keeps its
 * length, so that places in errors stay right.
 */
export const hideMarks = (template: string): string =>
  replaceMarks(
    template,
    ({ left, before, end, behind, right }) =>
      `{%${left}${before}${end ? BLOCK_ENDS : BLOCK_STARTS}${behind}${right}%}`,
  );

/** A tag of a template without its marks, as the template has it. */
export const shownMark = (tag: string): string =>
  tag.replace(BLOCK_ENDS, 'endgeneration').replace(BLOCK_STARTS, 'generation');

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
