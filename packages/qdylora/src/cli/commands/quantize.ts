import { snakeCased } from '@qdylora/contract';
import type { Command } from 'commander';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { QUANTIZE_KEYS } from '../../config/verb-keys.ts';
import { quantizeFrom } from '../../recipes/quantize-folder.ts';
import { printResult, type CommonFlags, type Context } from '../context.ts';
import { addKeyFlags, explicitFlags } from '../key-flags.ts';
import { showPasses } from '../render/progress.ts';

export function addQuantizeCommand(program: Command, context: Context): void {
  const command = program
    .command('quantize')
    .summary('write a model in 4 bits')
    .description(
      'Writes a model with its linear layers in 4 bits, in the format of transformers and bitsandbytes. ' +
        'Needs little memory: two files of 0.13 GB at a time. After an interruption, run it again to ' +
        'continue.',
    );
  addKeyFlags(command, QUANTIZE_KEYS).option('--json', 'Print one JSON document');
  command.action(async (flags: CommonFlags & Record<string, string | undefined>) => {
    const quantized = await context.interruptible((signal) =>
      quantizeFrom(explicitFlags(QUANTIZE_KEYS, flags), {
        signal,
        onNotice: (message) => context.terminal.note(message),
        onProgress: showPasses(context.terminal, 'quantizing'),
      }),
    );
    const { outputDir, layers, bytesBefore, bytesAfter } = quantized;
    printResult(context, flags, snakeCased(quantized), () => [
      `${outputDir}: ${layers} layers in 4 bits, ${byteSizeText(bytesBefore)} → ${byteSizeText(bytesAfter)}`,
    ]);
  });
}
