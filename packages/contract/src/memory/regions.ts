import { FreeList } from './free-list.ts';

export interface RegionOptions<R> {
  /** Smallest region, in bytes. */
  readonly regionBytes: number;
  /** Makes one region. @throws InsufficientMemoryError where there is none */
  reserve(bytes: number): R;
  /** Gives one back to the system. */
  unreserve?(region: R): void;
  /**
   * Lets the system take back the RAM of a stretch in which nothing lies; it stays reserved, its contents
   * undefined.
   */
  discard?(region: R, offset: number, bytes: number): void;
}

/** What a memory holds from the system, and where in it a block lies: in the first place where it fits. */
export class Regions<R> {
  private readonly options: RegionOptions<R>;
  private readonly held: FreeList<R>[] = [];
  isDisposed = false;

  constructor(options: RegionOptions<R>) {
    this.options = options;
  }

  get reservedBytes(): number {
    return this.held.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }
  /** Bytes that blocks have covered, since the last `trim` where that gives RAM back. */
  get touchedBytes(): number {
    return this.held.reduce((sum, { touchedBytes }) => sum + touchedBytes, 0);
  }

  take(bytes: number): { readonly region: FreeList<R>; readonly offset: number } {
    for (const region of this.held) {
      const offset = region.take(bytes);
      if (offset >= 0) return { region, offset };
    }
    const size = Math.max(bytes, this.options.regionBytes);
    const region = new FreeList(this.options.reserve(size), size);
    this.held.push(region);
    return { region, offset: region.take(bytes) };
  }

  /** Gives back regions in which nothing lies, and the RAM of the gaps in the others. */
  trim(): void {
    this.giveBack(this.held.filter(({ isEmpty }) => isEmpty));
    const { discard } = this.options;
    if (discard)
      for (const held of this.held)
        held.discard((offset, bytes) => {
          discard(held.region, offset, bytes);
        });
  }

  dispose(): void {
    this.isDisposed = true;
    this.giveBack([...this.held]);
  }

  private giveBack(regions: readonly FreeList<R>[]): void {
    for (const region of regions) {
      this.held.splice(this.held.indexOf(region), 1);
      this.options.unreserve?.(region.region);
    }
  }
}
