// What an input may do to a reader: nothing but be read, or be refused with a typed error, within a second
// and 100 MB.

const LONGEST_MS = 1000;
const MOST_BYTES = 100e6;

/** @returns how it ended (`read` or an error's code), or with `wrong` what must not happen */
export async function judge(run, input, random) {
  const start = process.cpuUsage();
  const before = process.memoryUsage();
  let outcome = 'read';
  try {
    await run(input, random);
  } catch (error) {
    if (!isTyped(error)) return { wrong: `an untyped error: ${error?.stack ?? error}` };
    outcome = error.code;
  }
  const spent = process.cpuUsage(start);
  const ms = (spent.user + spent.system) / 1000;
  const after = process.memoryUsage();
  const grown = after.arrayBuffers + after.heapUsed - before.arrayBuffers - before.heapUsed;
  if (ms > LONGEST_MS) return { wrong: `${Math.round(ms)} ms` };
  if (grown > MOST_BYTES) return { wrong: `${Math.round(grown / 1e6)} MB` };
  return { outcome };
}

/** A QdyloraError of any copy of the contract package. */
const isTyped = (error) => error?.[Symbol.for('qdylora.error')] === true;
