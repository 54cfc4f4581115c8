import { join } from 'node:path';
import { createFolder, writeFileDurably } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { rankReportJson, type RankReport } from '@qdylora/eval';
import type { Command } from 'commander';
import { valuesOfFlags, mergeExplicit } from '../../config/explicit-values.ts';
import { EVALUATE_KEYS } from '../../config/verb-keys.ts';
import { evaluateFrom, type Evaluation } from '../../recipes/evaluate.ts';
import { assertReportFits } from '../../recipes/run-folder/output-folder.ts';
import { renderReport } from '../../report/render-report.ts';
import { printResult, type Context } from '../context.ts';
import { STOPPING } from '../interrupts.ts';
import { addKeyFlags } from '../key-flags.ts';
import { showPasses } from '../render/progress.ts';
import { rankTable } from '../render/table.ts';
import { isComparable } from '../../report/read-ranks.ts';
import { exportCommand } from '../../recipes/outputs/next-command.ts';
import { evaluationValues, type JudgeFlags } from './eval.ts';

export function addRanksCommand(program: Command, context: Context): void {
  const command = program
    .command('ranks')
    .summary('find the smallest rank that is good enough')
    .description(
      'Evaluates every rank of an adapter and its base on the same rows. Names the best rank, and the ' +
        'smallest one that is not significantly worse.',
    );
  addKeyFlags(command, EVALUATE_KEYS)
    .option('--data <path,…>', 'The same as --dataset')
    .option('--output-dir <path>', 'Folder for rank-report.json and report.html')
    .option('--json', 'Print one JSON document');
  command.action(async (flags: JudgeFlags) => {
    if (!flags.adapter)
      throw new QdyloraError('BAD_CONFIG', {
        where: 'adapter',
        problem: '`ranks` needs an adapter',
        nextStep: 'Name it: --adapter runs/first/adapter.',
      });
    const explicit = mergeExplicit(valuesOfFlags({ compareWithBase: true }), evaluationValues(flags));
    if (flags.outputDir) assertReportFits(flags.outputDir, 'ranks');
    context.terminal.status('loading model and data …');
    const evaluation = await context.interruptible(
      (signal) =>
        evaluateFrom(explicit, {
          signal,
          onNotice: (message) => context.terminal.note(message),
          onProgress: showPasses(context.terminal, 'evaluating'),
        }),
      STOPPING,
    );
    const report = evaluation.report!;
    const next = nextStep(flags, report);
    if (flags.outputDir) writeSweep(flags.outputDir, evaluation, flags, next);
    printResult(context, flags, rankReportJson(report), () => [
      ...rankTable(isComparable(report) ? report : { ...report, smallestGoodRank: null }, context.terminal),
      context.terminal.paint(
        'dim',
        `${report.examples} rows, ${report.tokens.toLocaleString('en-US')} tokens`,
      ),
      ...(flags.outputDir ? [`report: ${join(flags.outputDir, 'report.html')}`] : []),
      next === null ? 'One row cannot tell ranks apart: evaluate more rows.' : `next: ${next}`,
    ]);
  });
}

/** Null where the rows cannot tell ranks apart. */
const nextStep = ({ adapter }: JudgeFlags, report: RankReport): string | null =>
  isComparable(report) ? exportCommand(adapter!, report.smallestGoodRank, 'adapter') : null;

function writeSweep(
  folder: string,
  { model, report }: Evaluation,
  { adapter, data, dataset }: JudgeFlags,
  nextCommand: string | null,
): void {
  createFolder(folder);
  const rows = data ?? dataset ?? null;
  const page = renderReport({
    model,
    dataset: null, // what the adapter was trained on is not known
    settings: [
      { name: 'Adapter', value: adapter! },
      { name: 'Evaluated on', value: rows ?? '' },
    ],
    steps: [],
    ranks: report,
    samples: { missing: 'This report evaluates an adapter and has no sample texts.' },
    notes: [],
    nextCommand,
  });
  writeFileDurably(join(folder, 'rank-report.json'), [
    Buffer.from(JSON.stringify(rankReportJson(report!), null, 2)),
  ]);
  writeFileDurably(join(folder, 'report.html'), [Buffer.from(page)]);
}
