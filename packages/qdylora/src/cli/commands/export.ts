import { snakeCased } from '@qdylora/contract';
import type { Command } from 'commander';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { EXPORT_KEYS } from '../../config/verb-keys.ts';
import { exportFrom, type ExportedAdapter } from '../../recipes/export-adapter.ts';
import { printResult, type CommonFlags, type Context } from '../context.ts';
import { STOPPING } from '../interrupts.ts';
import { addKeyFlags, explicitFlags } from '../key-flags.ts';

export function addExportCommand(program: Command, context: Context): void {
  const command = program
    .command('export')
    .summary('write an adapter at one rank, for PEFT or llama.cpp')
    .description(
      'Writes an adapter at one rank in the format of Hugging Face PEFT, or as GGUF for llama.cpp. Reads ' +
        'at most the config of the base model, except with --budget.',
    );
  addKeyFlags(command, EXPORT_KEYS).option('--json', 'Print one JSON document');
  command.action(async (flags: CommonFlags & Record<string, string | undefined>) => {
    const exporting = (signal?: AbortSignal): Promise<ExportedAdapter> =>
      exportFrom(explicitFlags(EXPORT_KEYS, flags), {
        signal,
        onNotice: (message) => context.terminal.note(context.terminal.paint('yellow', message)),
      });
    // only a budget needs the model; the rest is short, or one call that nothing interrupts (--svd)
    const exported = flags.budget ? await context.interruptible(exporting, STOPPING) : await exporting();
    const { outputDir, layers, bytes, rank, loraAlpha, useRslora } = exported;
    printResult(context, flags, snakeCased(exported), () => [
      `${outputDir}: ${ranksText(exported)}, ${layers} layers, ` +
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

/** `bnb.nn.Linear4bit` quantizes in blocks of this size. */
const BITSANDBYTES_BLOCK_SIZE = 64;

const ranksText = ({ rank, smallestRank }: ExportedAdapter): string =>
  smallestRank === rank ? `rank ${rank}` : `ranks ${smallestRank} to ${rank}`;

/** How PEFT loads the adapter, around a base that is stored as it was in training. */
function pythonLines({
  outputDir,
  baseModel,
  quantization,
  doubleQuantization,
  quantizationBlockSize,
}: ExportedAdapter): string[] {
  const isPacked = quantization === 'nf4' || quantization === 'fp4';
  const config = isPacked
    ? `, quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="${quantization}", ` +
      `bnb_4bit_use_double_quant=${doubleQuantization ? 'True' : 'False'})`
    : '';
  // an adapter stores only the last folder of a local base, which Python would not find
  const baseText = baseModel?.includes('/') ? baseModel : 'PATH OR HUB NAME OF THE BASE';
  const isOtherSize = isPacked && quantizationBlockSize !== BITSANDBYTES_BLOCK_SIZE;
  return [
    'in Python:',
    `  base = AutoModelForCausalLM.from_pretrained(${JSON.stringify(baseText)}${config})`,
    `  model = PeftModel.from_pretrained(base, ${JSON.stringify(outputDir)})`,
    ...(isOtherSize
      ? [
          `  bitsandbytes has blocks of ${BITSANDBYTES_BLOCK_SIZE}, training had blocks of ` +
            `${quantizationBlockSize}: the base differs a little`,
        ]
      : []),
  ];
}
