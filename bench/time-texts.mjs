/**
 * Writes one text after the other and returns the best speeds after the first. `write(ids)` hands out new ids
 * as they come.
 * @throws Error where two texts differ, or one is too short to be timed
 */
export async function timeTexts(write, { prompt, vocabularySize, repeats }) {
  const ids = Array.from({ length: prompt }, (_, t) => (t * 31 + 7) % vocabularySize);
  let text = null;
  let reading = Infinity;
  let writing = Infinity;
  for (let repeat = 0; repeat <= repeats; repeat++) {
    const start = performance.now();
    const newIds = [];
    let first = start;
    for await (const id of write(ids)) if (newIds.push(id) === 1) first = performance.now();
    const end = performance.now();
    if (newIds.length < 2) throw new Error(`a text must have at least 2 new tokens (got ${newIds.length})`);
    if (text && text.join() !== newIds.join()) throw new Error('two texts of the same prompt differ');
    text = newIds;
    if (repeat === 0) continue;
    reading = Math.min(reading, first - start);
    writing = Math.min(writing, (end - first) / (newIds.length - 1));
  }
  return { prompt_tokens_per_second: (prompt / reading) * 1000, new_tokens_per_second: 1000 / writing };
}
