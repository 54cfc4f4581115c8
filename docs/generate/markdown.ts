/**
 * Text as Markdown in a page of the site: nothing in it is read as HTML, as a table cell or as a template.
 */
export const escapeText = (text: string): string =>
  text
    .split(/(`[^`]*`)/)
    .map((part, index) => (index % 2 === 1 ? part : part.replace(/[<{|*_[\]]/g, (sign) => ENTITIES[sign])))
    .join('')
    .replaceAll('\n', ' ');

const ENTITIES: Readonly<Record<string, string>> = {
  '<': '&lt;',
  '{': '&#123;',
  '|': '&#124;',
  '*': '&#42;',
  _: '&#95;',
  '[': '&#91;',
  ']': '&#93;',
};

/** Inline code. Pipes would end the cell of a table. */
export const code = (text: string): string =>
  text.includes('`') ? `\`\` ${text.replaceAll('|', '\\|')} \`\`` : `\`${text.replaceAll('|', '\\|')}\``;

export const table = (headings: readonly string[], rows: readonly (readonly string[])[]): string =>
  [headings, headings.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/**
 * A page whose source is another file; readers of the repository are told which. Wide tables get smaller
 * text, and the room of the outline.
 */
export const generatedPage = (
  title: string,
  source: string,
  parts: readonly string[],
  look: readonly ('aside: false' | 'pageClass: wide-tables')[] = [],
): string =>
  [
    ['---', `title: ${title}`, 'editLink: false', ...look, '---'].join('\n'),
    `<!-- Generated from ${source} by docs/generate: do not edit. -->`,
    `# ${title}`,
    ...parts,
    '',
  ].join('\n\n');

/** The anchor of a name, as links of the site spell it. */
export const anchor = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
