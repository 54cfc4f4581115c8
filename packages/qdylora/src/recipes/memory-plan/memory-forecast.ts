/** One named part of what a process needs. */
export interface MemoryPart {
  readonly part: string;
  readonly bytes: number;
}

/** Peak memory of a run, part by part; `totalBytes` is the sum. */
export interface MemoryForecast {
  readonly parts: readonly MemoryPart[];
  readonly totalBytes: number;
  /** Pinned memory of the system, beside the total; absent where a run needs none. */
  readonly pinnedBytes?: number;
}

export const sumOf = (parts: readonly MemoryPart[], pinnedBytes = 0): MemoryForecast => ({
  parts,
  totalBytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
  ...(pinnedBytes > 0 && { pinnedBytes }),
});

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
