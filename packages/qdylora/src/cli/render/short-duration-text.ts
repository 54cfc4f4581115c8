/** `350 ms`, `42 s`, `12 min`, `3.4 h`: a duration to two digits. */
export function shortDurationText(seconds: number): string {
  const twoDigits = (value: number): string =>
    value < 10 ? value.toPrecision(2) : Math.round(value).toString();
  if (seconds < 0.9995) return `${twoDigits(seconds * 1000)} ms`;
  if (seconds < 100) return `${twoDigits(seconds)} s`;
  return seconds < 100 * 60 ? `${twoDigits(seconds / 60)} min` : `${twoDigits(seconds / 3600)} h`;
}
