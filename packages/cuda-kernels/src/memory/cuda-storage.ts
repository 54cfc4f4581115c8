import {
  DTYPE_BYTES,
  type AddressSpace,
  type Allocation,
  type ArrayView,
  type Storage,
} from '@qdylora/contract';
import type { Handle } from '../addon/addon-functions.ts';

/** Bytes on a device. */
export class CudaStorage implements Storage {
  readonly space: AddressSpace;
  readonly byteLength: number;
  readonly address: Handle;
  allocation: Allocation | undefined = undefined;

  constructor(space: AddressSpace, address: Handle, byteLength: number) {
    this.space = space;
    this.address = address;
    this.byteLength = byteLength;
  }
}

/** Where the first element of a view is on the device. `runOp` has checked the address space. */
export const addressOf = ({ storage, offset, dtype }: ArrayView): Handle =>
  (storage as CudaStorage).address + offset * DTYPE_BYTES[dtype];
