import type { Plugin } from 'vite';

/** Everything but the curve of the landing page, which is part of its HTML. */
const INTERACTIVE_PART = /theme\/components\/(?!RankCurve)\w+\.vue$/;

/**
 * Interactive parts have no HTML of their own: they begin in the page (`<ClientOnly>`). So the bundle that
 * renders pages holds empty ones. The packages that they run are then bundled once, not twice.
 */
export const emptyOnServer = (): Plugin => ({
  name: 'empty-on-server',
  enforce: 'pre',
  load: (id, { ssr } = {}) =>
    ssr && INTERACTIVE_PART.test(id) ? '<template><div></div></template>' : undefined,
});
