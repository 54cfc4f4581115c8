import type { DataOf, DType } from './dtype.ts';

/** A set of addresses. All operands of one call must lie in one space: that of the backend's memory. */
export interface AddressSpace {
  readonly name: string;
  /** True where JavaScript can read and write the bytes. */
  readonly isHost: boolean;
}

/** The address space of JavaScript itself; every host memory shares it. */
export const HOST_SPACE: AddressSpace = { name: 'host', isHost: true };

/** What an arena notes about one of its allocations. */
export interface Allocation {
  readonly isReleased: boolean;
}

/**
 * The bytes of one allocation. It is opaque: it says in which address space it lies and how large it is; only
 * the memory that made it, and kernels of that memory's backend, know what is inside.
 */
export interface Storage {
  readonly space: AddressSpace;
  readonly byteLength: number;
  /** Set by the arena that made it; `undefined` for storage that belongs to somebody else. */
  allocation: Allocation | undefined;
}

/** Storage in host memory: a typed array, whose first element is element 0 of the storage. */
export class HostStorage<D extends DType = DType> implements Storage {
  readonly space: AddressSpace;
  readonly elements: DataOf[D];
  allocation: Allocation | undefined = undefined;

  constructor(elements: DataOf[D], space: AddressSpace = HOST_SPACE) {
    this.elements = elements;
    this.space = space;
  }

  get byteLength(): number {
    return this.elements.byteLength;
  }
}

/** Storage without bytes: shapes and sizes only, for plans. */
export class ShapeStorage implements Storage {
  readonly space: AddressSpace;
  readonly byteLength: number;
  allocation: Allocation | undefined = undefined;

  constructor(byteLength: number, space: AddressSpace) {
    this.byteLength = byteLength;
    this.space = space;
  }
}
