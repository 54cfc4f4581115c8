/** The Castagnoli polynomial 0x1EDC6F41, bit-reversed. */
const REVERSED_POLYNOMIAL = 0x82f63b78;

/** Checksums of the 256 byte values. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ REVERSED_POLYNOMIAL : crc >>> 1;
  return crc;
});

/** CRC-32C of some bytes (RFC 3720, appendix B.4), as a whole number from 0 to 2³² − 1. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}
