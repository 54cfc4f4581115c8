import { html, type Html } from '../html.ts';

/** Width of a drawing on a phone. */
const NARROW = 350;

/**
 * A drawing in two widths, for a page and for a phone; the style sheet shows one. Letters keep their size,
 * where a scaled drawing would be unreadable.
 */
export const twoWidths = (draw: (width: number) => Html | null, wide: number): Html =>
  html`<div class="wide">${draw(wide)}</div>
    <div class="narrow">${draw(NARROW)}</div>`;
