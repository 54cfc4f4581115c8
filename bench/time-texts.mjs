/**
 * Writes one text after the other and returns the best speeds after the first, and the least CPU time of this
 * process for a new token, which other processes change less. `write(ids)` hands out new ids as they come.
 * @throws Error where two texts differ, or one is too short to be timed
 */
export async function timeTexts(write, { prompt, vocabularySize, repeats }) {
  const ids = Array.from({ length: prompt }, (_, t) => (t * 31 + 7) % vocabularySize);
  let text = null;
  let reading = Infinity;
  let writing = Infinity;
  let cpuMs = Infinity;
  for (let repeat = 0; repeat <= repeats; repeat++) {
    const start = performance.now();
    const newIds = [];
    let first = start;
    let cpuAtFirst = process.cpuUsage();
    for await (const id of write(ids)) {
      if (newIds.push(id) > 1) continue;
      first = performance.now();
      cpuAtFirst = process.cpuUsage();
    }
    const end = performance.now();
    const { user, system } = process.cpuUsage(cpuAtFirst);
    if (newIds.length < 2) throw new Error(`a text must have at least 2 new tokens (got ${newIds.length})`);
    if (text && text.join() !== newIds.join()) throw new Error('two texts of the same prompt differ');
    text = newIds;
    if (repeat === 0) continue;
    reading = Math.min(reading, first - start);
    writing = Math.min(writing, (end - first) / (newIds.length - 1));
    cpuMs = Math.min(cpuMs, (user + system) / 1000 / (newIds.length - 1));
  }
  return {
    prompt_tokens_per_second: (prompt / reading) * 1000,
    new_tokens_per_second: 1000 / writing,
    cpu_ms_per_new_token: cpuMs,
  };
}
