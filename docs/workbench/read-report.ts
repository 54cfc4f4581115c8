import type { RankReport, RankRow } from '@qdylora/eval';
import {
  readEventLines,
  renderReport,
  reportEvaluations,
  reportSteps,
  type EventLine,
  type ReportData,
} from '../page-sources.ts';
import { camelCased } from './camel-cased.ts';

/** The files of a run, as far as they were dropped; each as its text. */
export interface DroppedFiles {
  readonly report?: string;
  readonly events?: string;
}

/** `report.html` of a run, from `report.json`, `events.jsonl`, or both. @throws Error for other files */
export function reportOf({ report, events }: DroppedFiles): string {
  const lines = events === undefined ? [] : readEventLines(events);
  if (events !== undefined && lines.length === 0)
    throw new Error('This is no events.jsonl: none of its lines is an event that this page knows.');
  return renderReport(report === undefined ? dataOfEvents(lines) : dataOfReport(JSON.parse(report), lines));
}

const NOTHING_KNOWN = {
  dataset: null,
  settings: [],
  samples: { missing: 'These files have no sample texts.' },
  notes: [],
  nextCommand: null,
} satisfies Partial<ReportData>;

const dataOfEvents = (lines: readonly EventLine[]): ReportData => ({
  ...NOTHING_KNOWN,
  model: 'a run',
  ranks: null,
  steps: reportSteps(lines),
  evaluations: reportEvaluations(lines),
});

interface ReportJson extends Omit<RankReport, 'task' | 'examples' | 'tokens' | 'alpha' | 'ranks'> {
  readonly model: string;
  readonly method: string;
  readonly steps: number;
  readonly heldOut: ReportData['heldOut'];
  readonly ranks: readonly RankRow[];
  readonly heldOutExamples: number;
  readonly heldOutTokens: number;
  readonly evaluations: ReportData['evaluations'];
  readonly learningRate: ReportData['rate'];
  readonly finish: ReportData['finish'];
  readonly budgets: ReportData['budgets'];
  readonly samples: ReportData['samples'];
  readonly notes: readonly string[];
}

/** JSON has no NaN: these are null where they were not finite. */
const NUMBERS: ReadonlySet<string> = new Set(['loss', 'standardError', 'perplexity', 'mean', 'pValue']);

/** The same content with NaN in place of null where a number is meant. */
function withNumbers(content: unknown): unknown {
  if (Array.isArray(content)) return content.map(withNumbers);
  if (typeof content !== 'object' || content === null) return content;
  return Object.fromEntries(
    Object.entries(content).map(([key, value]) => [
      key,
      value === null && NUMBERS.has(key) ? NaN : withNumbers(value),
    ]),
  );
}

/** Family-wise level of the comparisons of a report. */
const ALPHA = 0.05;

function dataOfReport(json: unknown, lines: readonly EventLine[]): ReportData {
  const report = withNumbers(camelCased(json)) as ReportJson;
  if (!Array.isArray(report?.ranks) || typeof report.model !== 'string')
    throw new Error('This is no report.json of a run: it has no ranks.');
  const { model, base, ranks, heldOutExamples: examples, heldOutTokens: tokens, ...rest } = report;
  return {
    ...NOTHING_KNOWN,
    model,
    settings: [
      { name: 'Method', value: report.method },
      { name: 'Steps', value: String(report.steps) },
    ],
    steps: reportSteps(lines),
    evaluations: report.evaluations,
    ranks: ranks.length === 0 ? null : { ...rest, task: '', base, ranks, examples, tokens, alpha: ALPHA },
    budgets: report.budgets,
    heldOut: report.heldOut,
    samples: report.samples,
    rate: report.learningRate,
    notes: report.notes,
    finish: report.finish,
  };
}
