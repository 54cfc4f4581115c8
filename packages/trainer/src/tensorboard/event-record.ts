import { crc32c } from './crc32c.ts';

/**
 * Content of an event of a TensorBoard file:
 * - `scalars`: numbers by tag;
 * - `version`: the first event of every file;
 * - `start`: a process begins; readers drop what they have of this step and later ones.
 */
export type EventContent =
  | { readonly scalars: Readonly<Record<string, number>> }
  | { readonly version: string }
  | { readonly start: true };

export interface EventTime {
  readonly wallSeconds: number;
  readonly step: number;
}

/** Version of the format, in the first event of a file. */
export const FILE_VERSION = 'brain.Event:2';

/**
 * An event as bytes of a file: the length (8 bytes), its masked CRC-32C, a protocol buffer `Event`, and the
 * masked CRC-32C of that (the framing of TFRecord).
 *
 *     Event     { 1: double wall_time, 2: int64 step, 3: string file_version, 5: Summary, 7: SessionLog }
 *     Summary   { repeated 1: Value { 1: string tag, 2: float simple_value } }
 *     SessionLog{ 1: enum status, 1 = START }
 */
export function eventRecord(at: EventTime, content: EventContent): Uint8Array {
  const data = eventMessage(at, content);
  const record = new Uint8Array(16 + data.length);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, masked(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, masked(data), true);
  return record;
}

/** The mask of TFRecord: a checksum of bytes that contain checksums would be weak. */
function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function eventMessage({ wallSeconds, step }: EventTime, content: EventContent): Uint8Array {
  const wallTime = new Uint8Array(Float64Array.of(wallSeconds).buffer);
  const head = [...tag(1, FIXED64), ...wallTime, ...(step === 0 ? [] : [...tag(2, VARINT), ...varint(step)])];
  if ('version' in content) return Uint8Array.from([...head, ...text(3, content.version)]);
  if ('start' in content) return Uint8Array.from([...head, ...bytes(7, [...tag(1, VARINT), ...varint(1)])]);
  return Uint8Array.from([
    ...head,
    ...bytes(
      5,
      Object.entries(content.scalars).flatMap(([name, value]) =>
        bytes(1, [...text(1, name), ...tag(2, FIXED32), ...float32(value)]),
      ),
    ),
  ]);
}

/** Wire types of protocol buffers. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

const tag = (field: number, layout: number): number[] => varint(field * 8 + layout);

/** A whole number, seven bits a byte, lowest bits first. */
function varint(value: number): number[] {
  const digits: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) digits.push((left % 128) + 128);
  return [...digits, left];
}

const bytes = (field: number, content: readonly number[]): number[] => [
  ...tag(field, BYTES),
  ...varint(content.length),
  ...content,
];
const text = (field: number, content: string): number[] =>
  bytes(field, [...new TextEncoder().encode(content)]);
const float32 = (value: number): Uint8Array => new Uint8Array(Float32Array.of(value).buffer);
