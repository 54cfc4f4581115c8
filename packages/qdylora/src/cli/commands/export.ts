import type { Command } from 'commander';
import { byteSizeText } from '../../config/byte-size.ts';
import { EXPORT_KEYS } from '../../config/verb-keys.ts';
import { exportGiven } from '../../recipes/export-adapter.ts';
import { snakeCased } from '../../recipes/run-folder/snake-cased.ts';
import { printResult, type CommonFlags, type Context } from '../context.ts';
import { addKeyFlags, givenFlags } from '../key-flags.ts';

export function addExportCommand(program: Command, context: Context): void {
  const command = program
    .command('export')
    .summary('an adapter at one rank, for PEFT or llama.cpp')
    .description(
      'Writes an adapter at one rank in the format of Hugging Face PEFT, or as GGUF for llama.cpp. Of the ' +
        'base model at most the config is read.',
    );
  addKeyFlags(command, EXPORT_KEYS).option('--json', 'Print one JSON document');
  command.action(async (flags: CommonFlags & Record<string, string | undefined>) => {
    const exported = await exportGiven(givenFlags(EXPORT_KEYS, flags));
    const { outputDir, rank, layers, bytes, loraAlpha, useRslora } = exported;
    printResult(context, flags, snakeCased(exported), () => [
      `${outputDir}: rank ${rank}, ${layers} layers, ${byteSizeText(bytes)} (r ${rank}, lora_alpha ` +
        `${loraAlpha}, use_rslora ${useRslora})`,
      context.terminal.paint(
        'dim',
        flags.format === 'gguf'
          ? `in llama.cpp: --lora ${outputDir}/adapter.gguf`
          : `in Python: PeftModel.from_pretrained(base, "${outputDir}")`,
      ),
    ]);
  });
}
