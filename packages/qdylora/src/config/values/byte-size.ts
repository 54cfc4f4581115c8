/** Bytes of each unit. Units are read in any case; a letter alone is decimal, as for `kB`. */
const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  k: 1e3,
  kb: 1e3,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  t: 1e12,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** From here on, a number without a unit means bytes; below, the unit was probably forgotten. */
const SMALLEST_WITHOUT_UNIT = 2 ** 20;

const SIZE = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)?$/;

/**
 * `64MB`, `1.5 GiB` or `8388608` as bytes. Null for anything else, also for a number below 1 MiB without a
 * unit.
 */
export function readByteSize(text: string): number | null {
  const [, digits, unit] = SIZE.exec(text.trim()) ?? [];
  if (digits === undefined) return null;
  if (unit === undefined) return Number(digits) < SMALLEST_WITHOUT_UNIT ? null : Math.round(Number(digits));
  const name = unit.toLowerCase();
  return Object.hasOwn(UNITS, name) ? Math.round(Number(digits) * UNITS[name]) : null;
}

/** `32` → `32MB or 32GB`: the likely meanings of a size without a unit; null for other text. */
export function likelySizes(text: string): string | null {
  const [, digits, unit] = SIZE.exec(text.trim()) ?? [];
  if (digits === undefined || unit !== undefined) return null;
  return `${digits}MB or ${digits}GB`;
}

/** Bytes for a reader: `4.9 kB`, `0.3 MB`, `112 MB`, `25.28 GB`. */
export function byteSizeText(bytes: number): string {
  if (bytes < 1e3) return `${bytes} B`;
  if (bytes < 1e5) return `${(bytes / 1e3).toFixed(bytes < 1e4 ? 1 : 0)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}
