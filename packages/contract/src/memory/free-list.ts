/** The free stretches of one region, sorted by offset; neighbours are joined when a block comes back. */
export class FreeList<R> {
  /** What the system gave. */
  readonly region: R;
  readonly byteLength: number;
  /** End of the furthest block that there was since the last `discard`: behind it nothing was written. */
  touchedBytes = 0;
  private readonly offsets: number[] = [0];
  private readonly sizes: number[];
  /** No stretch is larger: full regions, of which a large model has hundreds, need no look. */
  private mostBytes: number;

  constructor(region: R, byteLength: number) {
    this.region = region;
    this.byteLength = byteLength;
    this.sizes = [byteLength];
    this.mostBytes = byteLength;
  }

  /** True where nothing is taken. */
  get isEmpty(): boolean {
    return this.sizes[0] === this.byteLength;
  }

  /** Offset of the first stretch that holds `bytes`, or −1. */
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
   * Shows every free stretch that may have been written to; what lies behind the last block then counts as
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

  /** True where they were neighbours. */
  private joinWithNext(i: number): boolean {
    if (i + 1 === this.offsets.length || this.offsets[i] + this.sizes[i] !== this.offsets[i + 1])
      return false;
    this.sizes[i] += this.sizes[i + 1];
    this.offsets.splice(i + 1, 1);
    this.sizes.splice(i + 1, 1);
    return true;
  }
}
