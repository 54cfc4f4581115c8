import { snakeCased } from '@qdylora/contract';
import type { Command } from 'commander';
import { mergeExplicit } from '../../config/explicit-values.ts';
import { EVALUATE_KEYS } from '../../config/verb-keys.ts';
import { evaluateFrom, type EvaluationRow } from '../../recipes/evaluate.ts';
import { precisionText } from '../../recipes/opening/weight-precision.ts';
import { printResult, type CommonFlags, type Context } from '../context.ts';
import { addKeyFlags, explicitFlags } from '../key-flags.ts';
import { showPasses } from '../render/progress.ts';
import { evaluationTable } from '../render/table.ts';

/** Flags of the commands that evaluate. `--data` is short for `--dataset`. */
export type JudgeFlags = CommonFlags & Record<string, string | undefined>;

export function addEvalCommand(program: Command, context: Context): void {
  const command = program
    .command('eval')
    .summary('loss and perplexity, at any ranks')
    .description('Loss and perplexity over text or answers, of a base model or of every rank of an adapter.');
  addKeyFlags(command, EVALUATE_KEYS)
    .option('--data <path,…>', 'The same as --dataset')
    .option('--json', 'Print one JSON document');
  command.action(async (flags: JudgeFlags) => {
    context.terminal.status('loading model and data …');
    const { results, precision } = await context.interruptible((signal) =>
      evaluateFrom(evaluationValues(flags), {
        signal,
        onNotice: (message) => context.terminal.note(message),
        onProgress: showPasses(context.terminal, 'evaluating'),
      }),
    );
    printResult(context, flags, { precision, results: results.map(rowJson) }, () => [
      ...evaluationTable(results, context.terminal),
      context.terminal.paint('dim', precisionText(precision)),
    ]);
  });
}

/** The values of a command that evaluates. */
export const evaluationValues = (flags: JudgeFlags) =>
  mergeExplicit(explicitFlags(EVALUATE_KEYS, { dataset: flags.data }), explicitFlags(EVALUATE_KEYS, flags));

const rowJson = ({ rank, loss, perplexity, tokens, standardError }: EvaluationRow): unknown =>
  snakeCased({ rank, loss, perplexity, tokens, standardError });
