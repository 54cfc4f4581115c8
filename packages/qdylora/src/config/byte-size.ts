const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** `64KiB`, `1.5 GB`, `4096` as bytes; null for anything else. */
export function readByteSize(text: string): number | null {
  const [, digits, unit = 'B'] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)?$/.exec(text.trim()) ?? [];
  const factor = Object.hasOwn(UNITS, unit) ? UNITS[unit]! : undefined;
  if (digits === undefined || factor === undefined) return null;
  return Math.round(Number(digits) * factor);
}

/**
 * Bytes as a person reads them: `0.3 MB`, `112 MB`. Decimal units, as disks are sold and Linux tools print
 * them.
 */
export function byteSizeText(bytes: number): string {
  if (bytes < 1e5) return bytes < 1e3 ? `${bytes} B` : `${(bytes / 1e3).toFixed(bytes < 1e4 ? 1 : 0)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

/** The same in binary units, as memory is sold: `31.75 GiB`. */
export const memorySizeText = (bytes: number): string =>
  bytes < 2 ** 30
    ? `${(bytes / 2 ** 20).toFixed(bytes < 100 * 2 ** 20 ? 1 : 0)} MiB`
    : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
