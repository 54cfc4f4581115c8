/** Numbers as the report writes them. NaN is a dash. */
const orDash = (value: number, text: () => string): string => (Number.isFinite(value) ? text() : '–');

const MINUS = '−';

/** Digits with commas between thousands: `12,345.6`. The same in every locale. */
function grouped(value: number, decimals: number): string {
  const [whole, fraction] = Math.abs(value).toFixed(decimals).split('.') as [string, string?];
  const text = whole.replace(/\B(?=(\d{3})+$)/g, ',') + (fraction === undefined ? '' : `.${fraction}`);
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

/** `1.23e9` */
const powerText = (value: number): string => value.toExponential(2).replace('e+', 'e').replace('-', MINUS);

/** `0.894`; large losses with fewer decimals. */
export const lossText = (loss: number, decimals = 3): string =>
  orDash(loss, () =>
    Math.abs(loss) >= 1e6 ? powerText(loss) : grouped(loss, Math.abs(loss) >= 100 ? 1 : decimals),
  );

/** `+0.012`, `−1.039`, `0.000`. */
export const signedText = (difference: number, decimals = 3): string =>
  orDash(
    difference,
    () =>
      (difference > 0 && /[1-9]/.test(lossText(difference, decimals)) ? '+' : '') +
      lossText(difference, decimals),
  );

/** `± 0.021`; nothing where the error is not known. */
export const errorText = (standardError: number, decimals = 3): string =>
  Number.isFinite(standardError) ? `± ${lossText(standardError, decimals)}` : '';

/** `0.386 to 0.439`; nothing where the interval is not known. */
export const intervalText = ([low, high]: readonly [number, number], decimals = 3): string =>
  Number.isFinite(low) && Number.isFinite(high)
    ? `${lossText(low, decimals)} to ${lossText(high, decimals)}`
    : '';

/** Three significant digits: `2.36`, `47.5`, `1,234`; `1.23e9` from a million on. */
export const perplexityText = (perplexity: number): string =>
  orDash(perplexity, () =>
    perplexity >= 1e6
      ? powerText(perplexity)
      : grouped(perplexity, perplexity < 10 ? 2 : perplexity < 100 ? 1 : 0),
  );

/** `12,345` */
export const countText = (count: number): string => orDash(count, () => grouped(count, 0));

/** `40 seconds`, `12 minutes`, `3.5 hours`. */
export function durationText(seconds: number): string {
  if (seconds < 90) return countOf(Math.max(1, Math.round(seconds)), 'second');
  if (seconds < 90 * 60) return countOf(Math.round(seconds / 60), 'minute');
  return `${grouped(seconds / 3600, 1)} hours`;
}

/** `p < 0.001`, `p = 0.042` */
export const pValueText = (p: number): string =>
  Number.isFinite(p) ? (p < 0.001 ? 'p < 0.001' : `p = ${p.toFixed(p < 0.1 ? 3 : 2)}`) : 'p unknown';

/** Decimals in which an error of this size still shows a digit: 3 for what is common, up to 6. */
export const decimalsFor = (smallest: number): number =>
  smallest > 0 && Number.isFinite(smallest) ? Math.min(6, Math.max(3, Math.ceil(-Math.log10(smallest)))) : 3;

/** `1 row`, `2 rows`: for lists, where `one row` stands beside numbers. */
export const countedText = (count: number, noun: string): string =>
  `${countText(count)} ${noun}${count === 1 ? '' : 's'}`;

/** `one example`, `2 examples` */
export const countOf = (count: number, noun: string): string =>
  count === 1 ? `one ${noun}` : `${countText(count)} ${noun}s`;
