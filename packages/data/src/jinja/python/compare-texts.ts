/** The order that Python gives texts: by code points. JavaScript's is by the halves of surrogate pairs. */
export function compareTexts(a: string, b: string): number {
  const left = Array.from(a, (character) => character.codePointAt(0)!);
  const right = Array.from(b, (character) => character.codePointAt(0)!);
  const differs = left.findIndex((code, i) => code !== right[i]);
  return differs < 0 ? left.length - right.length : left[differs] - (right[differs] ?? -1);
}
