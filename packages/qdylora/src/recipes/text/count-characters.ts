/** Number of Unicode characters (code points) of a text, as Python counts them. */
export function countCharacters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
