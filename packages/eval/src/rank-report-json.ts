import type { RankReport } from './rank-report.ts';

/** A report as JSON values: keys in snake_case, null for NaN and infinities. */
export const rankReportJson = (report: RankReport): Record<string, unknown> =>
  snakeCased(report) as Record<string, unknown>;

function snakeCased(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCased(inner),
    ]),
  );
}
