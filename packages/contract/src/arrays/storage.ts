import type { DataOf, DType } from './dtype.ts';

/** Where bytes are. All operands of a call must be in the address space of the backend's memory. */
export interface AddressSpace {
  readonly name: string;
  /** True if JavaScript can read and write the bytes. */
  readonly isHost: boolean;
}

/** The address space of JavaScript. All host memories share it. */
export const HOST_SPACE: AddressSpace = { name: 'host', isHost: true };

/** An arena's record of one allocation. */
export interface Allocation {
  readonly isReleased: boolean;
}

/**
 * The bytes of one allocation. It is opaque: it has an address space and a size. Only the memory that made
 * it, and the kernels of that memory's backend, know its contents.
 */
export interface Storage {
  readonly space: AddressSpace;
  readonly byteLength: number;
  /** Set by the arena that made it; `undefined` for storage that no arena made. */
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

/** Storage without bytes, for memory plans. */
export class ShapeStorage implements Storage {
  readonly space: AddressSpace;
  readonly byteLength: number;
  allocation: Allocation | undefined = undefined;

  constructor(byteLength: number, space: AddressSpace) {
    this.byteLength = byteLength;
    this.space = space;
  }
}
