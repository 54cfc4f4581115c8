import { assertArgument, elementCount } from '@qdylora/contract';
import { printedName } from '../bad-file.ts';
import type { TensorEntry } from '../tensor-entry.ts';
import { allocateBytes, type ByteSource } from '../read/byte-source.ts';
import { PAGES_AROUND } from '../read/page-reader.ts';
import { assertFloatDtype, readAsFloat32 } from './read-float32.ts';
import type { TensorLocation } from './read-header.ts';

/** The entry of a tensor in an open safetensors file. */
export function safetensorsEntry(
  source: ByteSource,
  dataStart: number,
  location: TensorLocation,
): TensorEntry {
  const { name, dtype, shape } = location;
  const byteLength = location.end - location.begin;
  const start = dataStart + location.begin;
  const label = `${source.path}: ${printedName(name)}`;
  const assertInside = (byteOffset: number, length: number): void =>
    assertArgument(
      byteOffset >= 0 && length >= 0 && byteOffset + length <= byteLength,
      'safetensors',
      `The bytes ${byteOffset}…${byteOffset + length} are not within 0…${byteLength} of ` +
        `${printedName(name)}`,
    );
  const readInto = (target: Uint8Array, byteOffset = 0): void => {
    assertInside(byteOffset, target.length);
    source.readInto(target, start + byteOffset);
  };
  return {
    name,
    dtype,
    shape,
    byteLength,
    readInto,
    async readAsync(buffer, { byteOffset = 0, length = byteLength - byteOffset, read } = {}) {
      assertInside(byteOffset, length);
      assertArgument(
        buffer.length >= length + PAGES_AROUND,
        'safetensors',
        `The ${length} bytes of ${printedName(name)} and ${PAGES_AROUND} more do not fit into ` +
          `${buffer.length}`,
      );
      return await source.readPagesAsync(buffer, { offset: start + byteOffset, length, read });
    },
    readBytes() {
      const bytes = allocateBytes(byteLength);
      readInto(bytes);
      return bytes;
    },
    readFloat32Into(target) {
      assertArgument(
        target.length === elementCount(shape),
        'safetensors',
        `The ${elementCount(shape)} values of ${printedName(name)} do not fit into ${target.length}`,
      );
      readAsFloat32(target, { dtype, label, readInto });
    },
    readFloat32() {
      assertFloatDtype(dtype, label);
      const values = new Float32Array(allocateBytes(elementCount(shape) * 4).buffer);
      readAsFloat32(values, { dtype, label, readInto });
      return values;
    },
  };
}
