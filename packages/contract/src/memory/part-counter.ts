import type { ArrayView } from '../arrays/array-view.ts';

/** Bytes of one part of a plan: now, and at the moment at which all parts together were largest. */
export interface PartUsage {
  readonly part: string;
  readonly liveBytes: number;
  readonly peakBytes: number;
}

/**
 * Counts the bytes of a memory by part: each array counts as the part that was current when it was
 * allocated.
 */
export class PartCounter {
  private readonly liveBytes = new Map<string, number>();
  private readonly partOf = new Map<ArrayView, string>();
  private currentPart = 'other';
  private totalBytes = 0;
  private peakBytes = 0;
  private atPeak: ReadonlyMap<string, number> = new Map();

  /** Counts a change by `bytes`: positive when the array is allocated, negative when it is released. */
  count(view: ArrayView, bytes: number): void {
    if (bytes < 0) this.notePeak(); // the total is largest just before a release
    const part = this.partOf.get(view) ?? this.currentPart;
    if (bytes > 0) this.partOf.set(view, part);
    else this.partOf.delete(view);
    this.liveBytes.set(part, (this.liveBytes.get(part) ?? 0) + bytes);
    this.totalBytes += bytes;
  }

  /** Arrays allocated from now on count as `part`. @returns the part before */
  begin(part: string): string {
    const previous = this.currentPart;
    this.currentPart = part;
    return previous;
  }

  /** Every part that has had an allocation, in the order of the first ones. */
  usage(): PartUsage[] {
    this.notePeak();
    return [...this.liveBytes].map(([part, liveBytes]) => ({
      part,
      liveBytes,
      peakBytes: this.atPeak.get(part) ?? 0,
    }));
  }

  /** The present becomes the peak. */
  resetPeak(): void {
    this.peakBytes = this.totalBytes;
    this.atPeak = new Map(this.liveBytes);
  }

  private notePeak(): void {
    if (this.totalBytes <= this.peakBytes) return;
    this.peakBytes = this.totalBytes;
    this.atPeak = new Map(this.liveBytes);
  }
}
