/** The free ranges of one region, sorted by offset. Adjacent ranges are joined when a block is released. */
export class FreeList<R> {
  /** The region, as the system returned it. */
  readonly region: R;
  readonly byteLength: number;
  /** End of the furthest block since the last `discard`. Nothing was written beyond it. */
  touchedBytes = 0;
  private readonly offsets: number[] = [0];
  private readonly sizes: number[];
  /** Upper bound of the largest free range: full regions (a large model has hundreds) are skipped quickly. */
  private mostBytes: number;

  constructor(region: R, byteLength: number) {
    this.region = region;
    this.byteLength = byteLength;
    this.sizes = [byteLength];
    this.mostBytes = byteLength;
  }

  /** True if no block is allocated. */
  get isEmpty(): boolean {
    return this.sizes[0] === this.byteLength;
  }

  /** Allocates `bytes` in the first range that is large enough. @returns its offset, or −1 */
  take(bytes: number): number {
    if (bytes > this.mostBytes) return -1;
    const i = this.sizes.findIndex((size) => size >= bytes);
    if (i < 0) {
      this.mostBytes = bytes - 1;
      return -1;
    }
    const offset = this.offsets[i];
    if (this.sizes[i] === bytes) {
      this.offsets.splice(i, 1);
      this.sizes.splice(i, 1);
    } else {
      this.offsets[i] = offset + bytes;
      this.sizes[i] -= bytes;
    }
    this.touchedBytes = Math.max(this.touchedBytes, offset + bytes);
    return offset;
  }

  give(offset: number, bytes: number): void {
    let i = this.offsets.findIndex((at) => at > offset);
    if (i < 0) i = this.offsets.length;
    this.offsets.splice(i, 0, offset);
    this.sizes.splice(i, 0, bytes);
    this.joinWithNext(i);
    const joined = i > 0 && this.joinWithNext(i - 1) ? i - 1 : i;
    this.mostBytes = Math.max(this.mostBytes, this.sizes[joined]);
  }

  /**
   * Calls `show` for every free range that may have been written. Bytes after the last block become
   * untouched.
   */
  discard(show: (offset: number, bytes: number) => void): void {
    this.offsets.forEach((offset, i) => {
      if (offset < this.touchedBytes) show(offset, Math.min(this.sizes[i], this.touchedBytes - offset));
    });
    const last = this.offsets.length - 1;
    if (last >= 0 && this.offsets[last] + this.sizes[last] === this.byteLength)
      this.touchedBytes = Math.min(this.touchedBytes, this.offsets[last]);
  }

  /** @returns true if the ranges were adjacent */
  private joinWithNext(i: number): boolean {
    if (i + 1 === this.offsets.length || this.offsets[i] + this.sizes[i] !== this.offsets[i + 1])
      return false;
    this.sizes[i] += this.sizes[i + 1];
    this.offsets.splice(i + 1, 1);
    this.sizes.splice(i + 1, 1);
    return true;
  }
}
