import { FreeList } from './free-list.ts';

/** How a memory reserves regions of type `R` from the system and gives them back. */
export interface RegionOptions<R> {
  /** Smallest region, in bytes. */
  readonly regionBytes: number;
  /** Reserves one region. @throws InsufficientMemoryError */
  reserve(bytes: number): R;
  /** Returns one to the system. */
  unreserve?(region: R): void;
  /**
   * Returns the RAM of an unused range to the system. The range stays reserved; its contents become
   * undefined.
   */
  discard?(region: R, offset: number, bytes: number): void;
}

/**
 * The regions that a memory has reserved from the system. A block is placed at the first gap where it fits.
 */
export class Regions<R> {
  private readonly options: RegionOptions<R>;
  private readonly lists: FreeList<R>[] = [];
  /** `peakTouchedBytes` before regions or their RAM were last given back. */
  private earlierPeakBytes = 0;
  isDisposed = false;

  constructor(options: RegionOptions<R>) {
    this.options = options;
  }

  get reservedBytes(): number {
    return this.lists.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }
  /** Bytes that blocks have ever covered; since the last `trim` where `discard` exists. */
  get touchedBytes(): number {
    return this.lists.reduce((sum, { touchedBytes }) => sum + touchedBytes, 0);
  }
  /** The largest `touchedBytes` ever: it falls only where memory is given back. */
  get peakTouchedBytes(): number {
    return Math.max(this.earlierPeakBytes, this.touchedBytes);
  }

  take(bytes: number): { readonly region: FreeList<R>; readonly offset: number } {
    for (const region of this.lists) {
      const offset = region.take(bytes);
      if (offset >= 0) return { region, offset };
    }
    const size = Math.max(bytes, this.options.regionBytes);
    const region = new FreeList(this.options.reserve(size), size);
    this.lists.push(region);
    return { region, offset: region.take(bytes) };
  }

  /** Returns empty regions to the system, and the RAM of the gaps in the others. */
  trim(): void {
    this.earlierPeakBytes = this.peakTouchedBytes;
    this.giveBack(this.lists.filter(({ isEmpty }) => isEmpty));
    const { discard } = this.options;
    if (discard)
      for (const list of this.lists)
        list.discard((offset, bytes) => {
          discard(list.region, offset, bytes);
        });
  }

  dispose(): void {
    this.isDisposed = true;
    this.earlierPeakBytes = this.peakTouchedBytes;
    this.giveBack([...this.lists]);
  }

  private giveBack(regions: readonly FreeList<R>[]): void {
    for (const region of regions) {
      this.lists.splice(this.lists.indexOf(region), 1);
      this.options.unreserve?.(region.region);
    }
  }
}
