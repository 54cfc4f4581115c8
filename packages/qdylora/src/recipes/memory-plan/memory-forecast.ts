/** One named part of what a process needs. */
export interface MemoryPart {
  readonly part: string;
  readonly bytes: number;
}

/** Peak memory of a run, part by part; `totalBytes` is the sum. */
export interface MemoryForecast {
  readonly parts: readonly MemoryPart[];
  readonly totalBytes: number;
}
