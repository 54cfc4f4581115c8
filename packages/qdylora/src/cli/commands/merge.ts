import { snakeCased } from '@qdylora/contract';
import type { Command } from 'commander';
import { MERGE_KEYS } from '../../config/verb-keys.ts';
import { mergeFrom } from '../../recipes/merge-adapter.ts';
import { printResult, type CommonFlags, type Context } from '../context.ts';
import { STOPPING } from '../interrupts.ts';
import { addKeyFlags, explicitFlags } from '../key-flags.ts';

export function addMergeCommand(program: Command, context: Context): void {
  const command = program
    .command('merge')
    .summary('merge an adapter into a copy of its base model')
    .description(
      'Merges an adapter at one rank into a copy of its base, and writes a Hugging Face folder or a GGUF ' +
        'file. Then opens the result and compares its logits with those of the base with its adapter.',
    );
  addKeyFlags(command, MERGE_KEYS).option('--json', 'Print one JSON document');
  command.action(async (flags: CommonFlags & Record<string, string | undefined>) => {
    context.terminal.status('merging …');
    const merged = await context.interruptible(
      (signal) =>
        mergeFrom(explicitFlags(MERGE_KEYS, flags), {
          signal,
          onNotice: (message) => context.terminal.note(message),
        }),
      STOPPING,
    );
    const { outputDir, rank, layers, dtype, format, difference, packingError } = merged;
    printResult(context, flags, snakeCased(merged), () => [
      `${outputDir}: ${layers} layers merged at rank ${rank}, ${format} ${dtype}`,
      ...(packingError === null
        ? []
        : [
            `quantized again: the relative error of the matrices is ` +
              `${(100 * packingError).toFixed(2)} % (root mean square)`,
          ]),
      ...(difference === null
        ? []
        : [
            `logits of ${difference.tokens} tokens differ from the base with its adapter by at most ` +
              `${difference.largest.toPrecision(3)}, ${difference.mean.toPrecision(3)} on average; the ` +
              `most likely token is the same for ${agreementText(difference)} of them`,
          ]),
    ]);
  });
}

function agreementText({
  tokens,
  agreement,
}: {
  readonly tokens: number;
  readonly agreement: number;
}): string {
  const same = Math.round(agreement * tokens);
  return same === tokens ? 'all' : String(same);
}
