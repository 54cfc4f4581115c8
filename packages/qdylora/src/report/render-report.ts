import { html } from './html.ts';
import { readRanks } from './read-ranks.ts';
import type { ReportData } from './report-data.ts';
import { REPORT_STYLE } from './report-style.ts';
import { evaluationsSection } from './sections/evaluations-section.ts';
import { headlineSection } from './sections/headline-section.ts';
import { nextSection } from './sections/next-section.ts';
import { ranksSection } from './sections/ranks-section.ts';
import { readingSection } from './sections/reading-section.ts';
import { runSection } from './sections/run-section.ts';
import { samplesSection } from './sections/samples-section.ts';
import { tableSection } from './sections/table-section.ts';
import { trainingSection } from './sections/training-section.ts';

export type {
  ReportData,
  ReportEvaluation,
  ReportSamples,
  ReportSetting,
  ReportStep,
  SamplePrompt,
} from './report-data.ts';

/** A content security policy that forbids scripts and all external resources. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

/**
 * The report of a run as one HTML file without scripts or external resources, with light and dark colours,
 * for screen, phone and paper. Equal data give equal bytes.
 *
 * @example
 * await writeFile('runs/smol/report.html', renderReport(data));
 */
export function renderReport(data: ReportData): string {
  const reading = readRanks(data.ranks);
  return `${
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>${`qdylora: ${data.model}`}</title>
          <style>
            ${{ html: REPORT_STYLE }}
          </style>
        </head>
        <body>
          <main>
            ${headlineSection(data, reading)} ${reading && ranksSection(reading)}
            ${reading && tableSection(reading)} ${reading && nextSection(data.nextCommand)}
            ${evaluationsSection(data.evaluations ?? [])} ${trainingSection(data.steps)}
            ${samplesSection(data.samples, reading)} ${runSection(data)} ${reading && readingSection(reading)}
            ${reading ? null : nextSection(data.nextCommand)}
          </main>
        </body>
      </html>`.html
  }\n`;
}
