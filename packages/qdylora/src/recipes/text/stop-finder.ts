/** Looks for stop strings in a text that comes in pieces. */
export interface StopFinder {
  /** Text that no stop string can begin in any more, and whether one was found: the text ends before it. */
  push(piece: string): { readonly text: string; readonly isStopped: boolean };
  /** The text that was held back. */
  finish(): string;
}

/** @param stops not empty strings; the one that begins first in the text counts */
export function createStopFinder(stops: readonly string[]): StopFinder {
  let pendingText = '';
  return {
    push(piece) {
      pendingText += piece;
      const found = stops.map((stop) => pendingText.indexOf(stop)).filter((at) => at >= 0);
      if (found.length > 0) return { text: pendingText.slice(0, Math.min(...found)), isStopped: true };
      const safe = pendingText.length - longestBeginning(pendingText, stops);
      const text = pendingText.slice(0, safe);
      pendingText = pendingText.slice(safe);
      return { text, isStopped: false };
    },
    finish: () => pendingText,
  };
}

/** Length of the longest end of `text` with which a stop string begins. */
export function longestBeginning(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops)
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--)
      if (text.endsWith(stop.slice(0, length))) longest = length;
  return longest;
}
