// The anchors of a page, as VitePress makes them.

/** The anchor that VitePress gives a heading (`slugify` of @mdit-vue/shared). */
const slugOf = (heading: string): string =>
  heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[`*]|\\(?=[<_])/g, '')
    .normalize('NFKD')
    .replace(/[\u0300-\u036F]/g, '')
    .replace(/[\s~`!@#$%^&*()\-_+=[\]{}|\\;:"'“”‘’<>,.?/]+/g, '-')
    .replace(/-{2,}/g, '-')
    .replace(/^-+|-+$/g, '')
    .replace(/^(\d)/, '_$1')
    .toLowerCase();

/** Headings, with a number behind one that is there twice, and ids that are written out. */
export function anchorsOf(page: string): ReadonlySet<string> {
  const text = page.replace(/^```[\s\S]*?^```$/gm, '');
  const anchors = new Set([...text.matchAll(/<\w+ id="([^"]+)"/g)].map(([, id]) => id));
  for (const [, heading] of text.matchAll(/^#+ (.+)$/gm)) {
    const id = /\{#([^}]+)\}/.exec(heading)?.[1] ?? slugOf(heading);
    let free = id;
    for (let i = 1; anchors.has(free); i++) free = `${id}-${i}`;
    anchors.add(free);
  }
  return anchors;
}
