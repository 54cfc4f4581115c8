/** One named part of what a process needs. */
export interface MemoryPart {
  readonly part: string;
  readonly bytes: number;
}

/** Peak of one memory, part by part; `totalBytes` is the sum. */
export interface MemoryParts {
  readonly parts: readonly MemoryPart[];
  readonly totalBytes: number;
}

/** Peak memory of a run: of the whole process, or of a GPU where its arrays are there. */
export interface MemoryForecast extends MemoryParts {
  /** The process, beside the GPU; absent where the arrays are in its own memory. */
  readonly process?: MemoryParts;
}

const sumOf = (parts: readonly MemoryPart[]): MemoryParts => ({
  parts,
  totalBytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
});

/**
 * Joins what a process needs and its arrays need.
 *
 * @param device null: the arrays are in the memory of the process
 */
export function forecastOf(
  processParts: readonly MemoryPart[],
  arrayParts: readonly MemoryPart[],
  device: { readonly pinnedBytes: number } | null,
): MemoryForecast {
  if (!device) return sumOf([...processParts, ...arrayParts]);
  const { pinnedBytes } = device;
  const pinned = pinnedBytes > 0 ? [{ part: 'pinned pages', bytes: pinnedBytes }] : [];
  return { ...sumOf(arrayParts), process: sumOf([...processParts, ...pinned]) };
}

/** With `profile: true`: the array on which the machine's peak rates are measured after the last step. */
export const profileParts = (
  { profile }: { readonly profile: boolean },
  ceilingBytes: number,
): MemoryPart[] =>
  profile && ceilingBytes > 0 ? [{ part: 'peak rates of the profile', bytes: ceilingBytes }] : [];

/**
 * Bytes that training adds to the JavaScript side: compiled code, events, checkpoints being written.
 * Measured: 7 to 13 MB (SmolLM2-135M, Node 20, 2026).
 */
export const JAVASCRIPT_BYTES = 10e6;

/**
 * The training thread (23 MB), remains of the tokenizer and of loading, and some rows. Measured: 37 to 46 MB
 * (SmolLM2-135M, 49 152 tokens, Node 20, 2026).
 */
export const TRAINING_BYTES = 41e6;
