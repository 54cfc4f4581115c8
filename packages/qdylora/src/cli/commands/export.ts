import { snakeCased } from '@qdylora/contract';
import type { Command } from 'commander';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { EXPORT_KEYS } from '../../config/verb-keys.ts';
import { exportFrom, type ExportedAdapter } from '../../recipes/export-adapter.ts';
import { printResult, type CommonFlags, type Context } from '../context.ts';
import { addKeyFlags, explicitFlags } from '../key-flags.ts';

export function addExportCommand(program: Command, context: Context): void {
  const command = program
    .command('export')
    .summary('an adapter at one rank, for PEFT or llama.cpp')
    .description(
      'Writes an adapter at one rank in the format of Hugging Face PEFT, or as GGUF for llama.cpp. Of the ' +
        'base model at most the config is read, except with --budget.',
    );
  addKeyFlags(command, EXPORT_KEYS).option('--json', 'Print one JSON document');
  command.action(async (flags: CommonFlags & Record<string, string | undefined>) => {
    const exported = await exportFrom(explicitFlags(EXPORT_KEYS, flags), {
      onNotice: (message) => context.terminal.note(context.terminal.paint('yellow', message)),
    });
    const { outputDir, rank, layers, bytes, loraAlpha, useRslora } = exported;
    printResult(context, flags, snakeCased(exported), () => [
      `${outputDir}: ${flags.budget ? 'ranks up to' : 'rank'} ${rank}, ${layers} layers, ` +
        `${byteSizeText(bytes)} (r ${rank}, lora_alpha ${loraAlpha}, use_rslora ${useRslora})`,
      context.terminal.paint(
        'dim',
        flags.format === 'gguf'
          ? `in llama.cpp: --lora ${outputDir}/adapter.gguf`
          : pythonLines(exported).join('\n'),
      ),
    ]);
  });
}

/** How PEFT loads the adapter, around a base that is stored as it was in training. */
function pythonLines({ outputDir, baseModel, quantization }: ExportedAdapter): string[] {
  const isPacked = quantization === 'nf4' || quantization === 'fp4';
  const config = isPacked
    ? `, quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="${quantization}", ` +
      `bnb_4bit_use_double_quant=True)`
    : '';
  return [
    'in Python:',
    `  base = AutoModelForCausalLM.from_pretrained("${baseModel ?? 'base-model'}"${config})`,
    `  model = PeftModel.from_pretrained(base, "${outputDir}")`,
  ];
}
