import { fromFloat16 } from '@qdylora/contract';

/** The IEEE half float at byte `at`, as float32. */
export const readHalf = (bytes: Uint8Array, at: number): number =>
  fromFloat16(bytes[at] | (bytes[at + 1] << 8));
