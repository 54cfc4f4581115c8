import { html } from './html.ts';
import { htmlPage } from './html-page.ts';
import { readRanks } from './read-ranks.ts';
import type { ReportData } from './report-data.ts';
import { budgetsSection } from './sections/budgets-section.ts';
import { evaluationsSection } from './sections/evaluations-section.ts';
import { headlineSection } from './sections/headline-section.ts';
import { levelsSection } from './sections/levels-section.ts';
import { nextSection } from './sections/next-section.ts';
import { ranksSection } from './sections/ranks-section.ts';
import { readingSection } from './sections/reading-section.ts';
import { runSection } from './sections/run-section.ts';
import { samplesSection } from './sections/samples-section.ts';
import { tableSection } from './sections/table-section.ts';
import { tasksSection } from './sections/tasks-section.ts';
import { trainingSection } from './sections/training-section.ts';

export type {
  ReportData,
  ReportEvaluation,
  ReportSamples,
  ReportSetting,
  ReportStep,
  SamplePrompt,
} from './report-data.ts';

/**
 * The report of a run as one HTML file without scripts or external resources, with light and dark colours,
 * for screen, phone and paper. Equal data give equal bytes.
 *
 * @example
 * await writeFile('runs/smol/report.html', renderReport(data));
 */
export function renderReport(data: ReportData): string {
  const reading = readRanks(data.ranks);
  return htmlPage({
    title: `qdylora: ${data.model}`,
    body: html`${headlineSection(data, reading)} ${reading && ranksSection(reading)}
            ${reading && tableSection(reading)} ${reading && budgetsSection(reading, data.budgets)}
            ${data.tasks ? tasksSection(data.tasks) : null} ${data.levels ? levelsSection(data.levels) : null}
            ${reading && nextSection(data)}
            ${evaluationsSection(data.evaluations ?? [])} ${trainingSection(data)}
            ${samplesSection(data.samples, reading)} ${runSection(data)} ${reading && readingSection(reading)}
            ${reading ? null : nextSection(data)}`,
  });
}
