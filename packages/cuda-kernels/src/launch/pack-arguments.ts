import { addressOf } from '../memory/cuda-storage.ts';
import type { Argument } from './launch.ts';

/** Bytes that the arguments of a kernel may take on every architecture. */
export const MOST_ARGUMENT_BYTES = 4096;

const SIZES: Readonly<Record<Argument['type'], number>> = {
  input: 8,
  output: 8,
  i32: 4,
  u32: 4,
  u64: 8,
  f32: 4,
  f64: 8,
};

/**
 * Writes the arguments as a C++ compiler lays out a struct of them: each at a multiple of its own size.
 *
 * @returns how many bytes they take
 */
export function packArguments(list: readonly Argument[], into: DataView): number {
  let end = 0;
  for (const argument of list) {
    const size = SIZES[argument.type];
    const offset = Math.ceil(end / size) * size;
    writeArgument(argument, into, offset);
    end = offset + size;
  }
  return end;
}

function writeArgument(argument: Argument, into: DataView, offset: number): void {
  switch (argument.type) {
    case 'input':
    case 'output':
      return writeWords(addressOf(argument.view), into, offset);
    case 'i32':
      return into.setInt32(offset, argument.value, true);
    case 'u32':
      return into.setUint32(offset, argument.value, true);
    case 'u64':
      return writeWords(argument.value, into, offset);
    case 'f32':
      return into.setFloat32(offset, argument.value, true);
    case 'f64':
      return into.setFloat64(offset, argument.value, true);
  }
}

/** A whole number of up to 53 bits as 64: several times faster than by a BigInt. */
function writeWords(value: number, into: DataView, offset: number): void {
  into.setUint32(offset, value % 2 ** 32, true);
  into.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}
