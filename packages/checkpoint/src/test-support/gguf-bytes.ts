/**
 * One metadata value: its type number, and the bytes as a list of numbers, text (with its length in front) or
 * raw bytes.
 */
export type GgufKey = readonly [key: string, type: number, value: readonly Piece[]];
export type Piece =
  | { readonly u8: number }
  | { readonly u32: number }
  | { readonly u64: number | bigint }
  | { readonly f32: number }
  | { readonly text: string }
  | { readonly raw: Uint8Array };

export interface GgufTensorInfo {
  readonly name: string;
  readonly sizes: readonly (number | bigint)[];
  readonly type: number;
  readonly offset: number | bigint;
  readonly dimensions?: number;
}

export interface GgufParts {
  readonly magic?: string;
  readonly version?: number;
  readonly tensorCount?: number | bigint;
  readonly keyCount?: number | bigint;
  readonly keys?: readonly GgufKey[];
  readonly tensors?: readonly GgufTensorInfo[];
  readonly data?: number;
  readonly alignment?: number;
}

/** A GGUF file from its parts, right or wrong. */
export function ggufBytes({
  magic = 'GGUF',
  version = 3,
  keys = [],
  tensors = [],
  tensorCount = tensors.length,
  keyCount = keys.length,
  data = 0,
  alignment = 32,
}: GgufParts): Uint8Array {
  const pieces: Buffer[] = [
    Buffer.from(magic, 'latin1'),
    bytesOf({ u32: version }),
    bytesOf({ u64: tensorCount }),
    bytesOf({ u64: keyCount }),
  ];
  for (const [key, type, value] of keys) {
    pieces.push(bytesOf({ text: key }), bytesOf({ u32: type }));
    for (const piece of value) pieces.push(bytesOf(piece));
  }
  for (const { name, sizes, type, offset, dimensions = sizes.length } of tensors) {
    pieces.push(
      bytesOf({ text: name }),
      bytesOf({ u32: dimensions }),
      ...sizes.map((u64) => bytesOf({ u64 })),
      bytesOf({ u32: type }),
      bytesOf({ u64: offset }),
    );
  }
  const header = Buffer.concat(pieces);
  const padding = data > 0 ? Math.ceil(header.length / alignment) * alignment - header.length : 0;
  return Uint8Array.from(Buffer.concat([header, Buffer.alloc(padding + data)]));
}

function bytesOf(piece: Piece): Buffer {
  if ('u8' in piece) return Buffer.from([piece.u8]);
  if ('raw' in piece) return Buffer.from(piece.raw);
  if ('text' in piece)
    return Buffer.concat([bytesOf({ u64: Buffer.byteLength(piece.text) }), Buffer.from(piece.text)]);
  const buffer = Buffer.alloc('u64' in piece ? 8 : 4);
  if ('u64' in piece) buffer.writeBigUInt64LE(BigInt(piece.u64));
  else if ('u32' in piece) buffer.writeUInt32LE(piece.u32);
  else buffer.writeFloatLE(piece.f32);
  return buffer;
}

/** Metadata of the common kinds. */
export const u32 = (key: string, value: number): GgufKey => [key, 4, [{ u32: value }]];
export const f32 = (key: string, value: number): GgufKey => [key, 6, [{ f32: value }]];
export const flag = (key: string, value: boolean): GgufKey => [key, 7, [{ u8: value ? 1 : 0 }]];
export const text = (key: string, value: string): GgufKey => [key, 8, [{ text: value }]];
export const texts = (key: string, values: readonly string[]): GgufKey => [
  key,
  9,
  [{ u32: 8 }, { u64: values.length }, ...values.map((value) => ({ text: value }))],
];
export const u32s = (key: string, values: readonly number[]): GgufKey => [
  key,
  9,
  [{ u32: 4 }, { u64: values.length }, ...values.map((value) => ({ u32: value }))],
];
export const f32s = (key: string, values: readonly number[]): GgufKey => [
  key,
  9,
  [{ u32: 6 }, { u64: values.length }, ...values.map((value) => ({ f32: value }))],
];
