/** The free stretches of one region, sorted by offset; neighbours are joined when a block comes back. */
export class FreeList {
  readonly buffer: ArrayBufferLike;
  private readonly offsets: number[] = [0];
  private readonly sizes: number[];

  constructor(buffer: ArrayBufferLike) {
    this.buffer = buffer;
    this.sizes = [buffer.byteLength];
  }

  /** True where nothing is taken. */
  get isEmpty(): boolean { return this.sizes[0] === this.buffer.byteLength; }

  /** Size of the smallest stretch that holds `bytes`, or Infinity. */
  smallestFor(bytes: number): number {
    let best = Infinity;
    for (const size of this.sizes) if (size >= bytes && size < best) best = size;
    return best;
  }

  /** Offset of the smallest stretch that holds `bytes`, or −1. */
  take(bytes: number): number {
    const i = this.sizes.indexOf(this.smallestFor(bytes));
    if (i < 0) return -1;
    const offset = this.offsets[i]!;
    if (this.sizes[i] === bytes) { this.offsets.splice(i, 1); this.sizes.splice(i, 1); }
    else { this.offsets[i] = offset + bytes; this.sizes[i]! -= bytes; }
    return offset;
  }

  give(offset: number, bytes: number): void {
    let i = this.offsets.findIndex((at) => at > offset);
    if (i < 0) i = this.offsets.length;
    this.offsets.splice(i, 0, offset);
    this.sizes.splice(i, 0, bytes);
    this.joinWithNext(i);
    if (i > 0) this.joinWithNext(i - 1);
  }

  private joinWithNext(i: number): void {
    if (this.offsets[i]! + this.sizes[i]! !== this.offsets[i + 1]) return;
    this.sizes[i]! += this.sizes[i + 1]!;
    this.offsets.splice(i + 1, 1);
    this.sizes.splice(i + 1, 1);
  }
}
