/** A field of a protobuf message: its number, and a whole number or bytes. */
export interface ProtobufField {
  readonly number: number;
  readonly value: number | Uint8Array;
}

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;

/** Longest varint: 64 bits in groups of seven. */
const MAX_VARINT_BYTES = 10;

/**
 * The fields of a protobuf message in their order. Whole numbers are signed 64-bit numbers; beyond 2⁵³ they
 * lose bits.
 *
 * @param fail makes the error for invalid bytes
 */
export function* protobufFields(
  bytes: Uint8Array,
  fail: (problem: string) => Error,
): Generator<ProtobufField, void, void> {
  let at = 0;
  const varint = (): number => {
    let value = 0n;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = bytes[at++];
      if (byte === undefined) throw fail('the file ends within a whole number');
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw fail(`a whole number has more than ${MAX_VARINT_BYTES} bytes`);
  };
  const take = (length: number): Uint8Array => {
    if (length < 0 || length > bytes.length - at)
      throw fail(`there are only ${bytes.length - at} of the ${length} bytes at ${at}`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const wire = ((tag % 8) + 8) % 8;
    if (number < 1) throw fail(`the number of the field at ${at} is ${number}`);
    switch (wire) {
      case VARINT:
        yield { number, value: varint() };
        break;
      case FIXED_64:
        yield { number, value: take(8) };
        break;
      case LENGTH_DELIMITED:
        yield { number, value: take(varint()) };
        break;
      case FIXED_32:
        yield { number, value: take(4) };
        break;
      default:
        throw fail(
          `the field at ${at} must be of kind ` +
            `${[VARINT, FIXED_64, LENGTH_DELIMITED, FIXED_32].join(', ')} (got ${wire})`,
        );
    }
  }
}
