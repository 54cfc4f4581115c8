import type { TensorEntry } from '../tensor-entry.ts';
import { openByteSource, type ByteSource } from '../read/byte-source.ts';
import { safetensorsEntry } from './read-array.ts';
import { readSafetensorsHeader } from './read-header.ts';

/** An open safetensors file. */
export interface SafetensorsFile extends Disposable {
  readonly path: string;
  readonly metadata: ReadonlyMap<string, string>;
  /** By name, in header order. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  dispose(): void;
}

/**
 * Opens one file and reads its header; tensors are read on request. @throws QdyloraError BAD_FILE,
 * MISSING_FILE.
 */
export function openSafetensors(path: string): SafetensorsFile {
  const source = openByteSource(path, 'safetensors');
  try {
    return safetensorsOf(source);
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Opens safetensors bytes from any source. */
export function safetensorsOf(source: ByteSource): SafetensorsFile {
  const { metadata, tensors, dataStart } = readSafetensorsHeader(source);
  const entries = new Map<string, TensorEntry>();
  for (const location of tensors.values())
    entries.set(location.name, safetensorsEntry(source, dataStart, location));
  return {
    path: source.path,
    metadata,
    tensors: entries,
    dispose: source.close,
    [Symbol.dispose]: source.close,
  };
}
