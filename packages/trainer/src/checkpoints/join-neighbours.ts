/** Joins arrays that follow each other in the same buffer. Nothing is copied. */
export function joinNeighbours(arrays: readonly Float32Array[]): Float32Array[] {
  const joined: Float32Array[] = [];
  const last = new Map<ArrayBufferLike, number>();
  for (const array of [...arrays].sort((a, b) => a.byteOffset - b.byteOffset)) {
    const { buffer, byteOffset, length } = array;
    const at = last.get(buffer);
    const before = at === undefined ? null : joined[at];
    if (before && before.byteOffset + before.byteLength === byteOffset)
      joined[at!] = new Float32Array(buffer, before.byteOffset, before.length + length);
    else last.set(buffer, joined.push(array) - 1);
  }
  return joined;
}
