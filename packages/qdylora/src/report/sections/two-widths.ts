import { html, type Html } from '../html.ts';

/** Width of a drawing on a phone. */
const NARROW = 350;

/**
 * A drawing twice, for a page and for a phone, of which the style sheet shows one: letters keep their size,
 * where a scaled drawing would be unreadable.
 */
export const twoWidths = (draw: (width: number) => Html | null, wide: number): Html =>
  html`<div class="wide">${draw(wide)}</div>
    <div class="narrow">${draw(NARROW)}</div>`;
