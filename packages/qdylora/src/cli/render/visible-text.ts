/**
 * C0 and C1 controls but newline and tab, as Unicode's control pictures, so that text from outside cannot
 * write to the terminal.
 */
export const visibleText = (text: string): string =>
  text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, (c) =>
    c.charCodeAt(0) < 0x20 ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : '␡',
  );
