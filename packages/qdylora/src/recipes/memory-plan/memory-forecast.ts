/** One named part of what a process needs. */
export interface MemoryPart {
  readonly part: string;
  readonly bytes: number;
}

/** What a run will need at most, part by part; `totalBytes` is their sum. */
export interface MemoryForecast {
  readonly parts: readonly MemoryPart[];
  readonly totalBytes: number;
}
