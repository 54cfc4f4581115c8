/** Compares two texts by code points, as Python does. JavaScript compares UTF-16 units. */
export function compareTexts(a: string, b: string): number {
  const left = Array.from(a, (character) => character.codePointAt(0)!);
  const right = Array.from(b, (character) => character.codePointAt(0)!);
  const differs = left.findIndex((code, i) => code !== right[i]);
  return differs < 0 ? left.length - right.length : left[differs] - (right[differs] ?? -1);
}
