/** A metadata value to write, with its type in the file. */
export type MetadataToWrite =
  | { readonly u32: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly texts: readonly string[] }
  | { readonly i32s: readonly number[] }
  | { readonly f32s: readonly number[] };

/** Type numbers in the file. */
const U32 = 4;
const I32 = 5;
const F32 = 6;
const BOOL = 7;
const TEXT = 8;
const ARRAY = 9;

/** Encodes type number and value. */
export function metadataBytes(value: MetadataToWrite): Buffer {
  if ('u32' in value) return Buffer.concat([u32(U32), u32(value.u32)]);
  if ('f32' in value) return Buffer.concat([u32(F32), f32(value.f32)]);
  if ('bool' in value) return Buffer.concat([u32(BOOL), Buffer.of(value.bool ? 1 : 0)]);
  if ('text' in value) return Buffer.concat([u32(TEXT), textBytes(value.text)]);
  if ('texts' in value) return arrayBytes(TEXT, value.texts.map(textBytes));
  if ('i32s' in value)
    return arrayBytes(I32, [Buffer.from(Int32Array.from(value.i32s).buffer)], value.i32s.length);
  return arrayBytes(F32, [Buffer.from(Float32Array.from(value.f32s).buffer)], value.f32s.length);
}

const arrayBytes = (type: number, items: readonly Buffer[], length = items.length): Buffer =>
  Buffer.concat([u32(ARRAY), u32(type), u64(length), ...items]);

/** Encodes a text: its length and UTF-8. */
export function textBytes(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64(bytes.length), bytes]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function f32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}
