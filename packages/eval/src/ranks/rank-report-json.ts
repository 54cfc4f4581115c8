import { snakeCased } from '@qdylora/contract';
import type { RankReport } from './rank-report.ts';

/** A report as JSON values: keys in snake_case, null for NaN and infinities. */
export const rankReportJson = (report: RankReport): Record<string, unknown> =>
  snakeCased(report) as Record<string, unknown>;
