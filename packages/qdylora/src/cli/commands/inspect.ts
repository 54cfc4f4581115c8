import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isPeftAdapter, writeFileDurably } from '@qdylora/checkpoint';
import { snakeCase, snakeCased, QdyloraError } from '@qdylora/contract';
import { STATE_FILE } from '@qdylora/trainer';
import type { Command } from 'commander';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { checkValues, type OutputOf } from '../../config/values/check-values.ts';
import { mergeExplicit } from '../../config/explicit-values.ts';
import { kebabCase } from '../../config/names/names.ts';
import { ROWS } from '../../config/yaml/read-run-yaml.ts';
import { INSPECT_KEYS } from '../../config/verb-keys.ts';
import { inspectAdapter, type AdapterFacts } from '../../recipes/inspect-adapter.ts';
import { inspectCheckpoint, type CheckpointFacts } from '../../recipes/inspect-checkpoint.ts';
import { previewRows } from '../../recipes/preview-row.ts';
import { runPaths } from '../../recipes/run-folder/output-folder.ts';
import { chosenTemplate } from '../../recipes/opening/chosen-template.ts';
import { localModel } from '../../recipes/opening/local-model.ts';
import { openTokenizer } from '../../recipes/opening/open-base.ts';
import { assertNamedOnce } from '../assert-named-once.ts';
import { printResult, type CommonFlags, type Context } from '../context.ts';
import { addKeyFlags, explicitFlags } from '../key-flags.ts';
import { columns } from '../render/table.ts';
import { previewLines } from '../render/token-lines.ts';
import { visibleText } from '../render/visible-text.ts';
import { maskPage } from '../../report/mask-page.ts';
import { shellCommand } from '../../recipes/outputs/shell-command.ts';

export function addInspectCommand(program: Command, context: Context): void {
  const command = program
    .command('inspect')
    .argument('[path]', 'A checkpoint or an adapter')
    .summary('describe a checkpoint or an adapter, or show rows of data')
    .description(
      'Describes a checkpoint or an adapter. With --dataset, shows rows with the tokens that the loss ' +
        'counts.',
    );
  addKeyFlags(command, INSPECT_KEYS)
    .option('--data <path,…>', 'The same as --dataset')
    .option('--json', 'Print one JSON document');
  command.action(
    async (path: string | undefined, flags: CommonFlags & Record<string, string | undefined>) => {
      assertNamedOnce(flags);
      if (path !== undefined && flags.model !== undefined)
        throw new QdyloraError('BAD_CONFIG', {
          where: 'inspect',
          problem: `The path ${path} and --model ${flags.model} both name what to inspect`,
          nextStep: 'Leave one of them out.',
        });
      const config = checkValues(
        INSPECT_KEYS,
        mergeExplicit(
          explicitFlags(INSPECT_KEYS, { dataset: flags.data, model: path }),
          explicitFlags(INSPECT_KEYS, flags),
        ),
      );
      if (config.dataset) return showRows(config, context, flags);
      assertNoRowFlags(flags);
      if (!config.model)
        throw new QdyloraError('BAD_CONFIG', {
          where: 'inspect',
          problem: 'Nothing was named to inspect',
          nextStep: 'Name a checkpoint, an adapter, or --dataset rows.jsonl.',
        });
      assertInspectable(config.model);
      const facts = isPeftAdapter(config.model)
        ? inspectAdapter(config.model)
        : await inspectCheckpoint(config.model, (text) => context.terminal.note(text));
      printResult(context, flags, snakeCased(facts), () =>
        columns(facts.kind === 'adapter' ? adapterLines(facts) : checkpointLines(facts), ['left', 'left']),
      );
    },
  );
}

/** @throws QdyloraError BAD_CONFIG for a flag that has no effect without rows */
function assertNoRowFlags(flags: Readonly<Record<string, unknown>>): void {
  const idle = Object.keys(INSPECT_KEYS).find((key) => key !== 'model' && flags[key] !== undefined);
  if (idle === undefined) return;
  throw new QdyloraError('BAD_CONFIG', {
    where: snakeCase(idle),
    problem: `--${kebabCase(idle)} is about rows, but no --dataset is named.`,
    nextStep: 'Leave it out, or name the rows: --dataset rows.jsonl.',
  });
}

/** @throws QdyloraError BAD_CONFIG for a file of rows, the folder of a run, and its saved states */
function assertInspectable(path: string): void {
  const refuse = (kind: string, nextStep: string): never => {
    throw new QdyloraError('BAD_CONFIG', {
      where: 'inspect',
      problem: `${path} is ${kind}, not a model or an adapter`,
      nextStep,
      details: { path },
    });
  };
  if (ROWS.test(path))
    refuse(
      'a file of rows',
      `Show rows with ${shellCommand(['inspect', '--dataset', path])}. Add --model for the tokenizer.`,
    );
  if (existsSync(join(path, STATE_FILE)))
    refuse(
      'a checkpoint that a run resumes from',
      'The adapter of a run that has ended is in its output_dir: adapter.',
    );
  const { adapter, model, run } = runPaths(path);
  const results = [adapter, model].filter((result) => existsSync(result));
  if (existsSync(run))
    refuse(
      'the folder of a run',
      results.length > 0 ? `Name its result: ${results.join(' or ')}.` : 'It has no result yet.',
    );
}

async function showRows(
  config: OutputOf<typeof INSPECT_KEYS>,
  context: Context,
  flags: CommonFlags,
): Promise<void> {
  const tokenizer = config.model
    ? await openTokenizer(
        await localModel(config.model, { tell: (text) => context.terminal.note(text) }),
        chosenTemplate({ ...config, adapter: null }),
      )
    : null;
  const { terminal } = context;
  const previews = await previewRows(config.dataset!, { ...config, tokenizer });
  if (config.html) {
    writeFileDurably(config.html, [Buffer.from(maskPage(previews, config.model))]);
    terminal.note(`${previews.length} row${previews.length === 1 ? '' : 's'} in ${config.html}`);
  }
  printResult(context, flags, { rows: previews.map(snakeCased) }, () =>
    config.html
      ? []
      : previews.flatMap((preview, i) => [...(i > 0 ? [''] : []), ...previewLines(preview, terminal)]),
  );
}

function checkpointLines(facts: CheckpointFacts): [string, string][] {
  const types = facts.dtypes.map(({ dtype, bytes }) => `${dtype} ${byteSizeText(bytes)}`).join(', ');
  return [
    ['name', facts.name],
    ['format', facts.format],
    ['architecture', facts.modelType],
    ['parameters', `${(facts.parameters / 1e6).toFixed(1)} M`],
    ['size', `${byteSizeText(facts.bytes)} in ${facts.tensors} tensors (${types})`],
    ['shape', `${facts.layers} layers, hidden ${facts.hiddenSize}, vocabulary ${facts.vocabularySize}`],
    ['quantization', facts.quantization ?? 'none'],
    [
      'tokenizer',
      facts.hasTokenizer
        ? facts.hasChatTemplate
          ? 'yes, with a chat template'
          : 'yes, without a chat template'
        : 'none',
    ],
    ['fingerprint', facts.fingerprint],
  ];
}

const adapterLines = (facts: AdapterFacts): [string, string][] => [
  ['base', visibleText(facts.baseModel ?? 'not named')],
  [
    'base fingerprint',
    facts.baseFingerprint ?? 'unknown: an adapter of another trainer, used at its full rank only',
  ],
  ...rankLines(facts),
  ['layers', String(facts.layers)],
  ['parameters', `${(facts.parameters / 1e6).toFixed(2)} M`],
  ...(facts.saved.length === 0 ? [] : [['replaces in the base', facts.saved.join(', ')] as [string, string]]),
];

function rankLines({ layerRanks, ranks, scaling, alpha, scales }: AdapterFacts): [string, string][] {
  if (layerRanks) {
    const different = Object.values(layerRanks);
    return [
      ['ranks', `${Math.min(...different)} to ${Math.max(...different)}, one for each layer (--json: which)`],
    ];
  }
  const ofRanks = Object.entries(scales).map(([rank, scale]) => `${rank}→${Number(scale.toFixed(3))}`);
  return [
    ['ranks', ranks.join(' ')],
    ['scale', `${scaling}, alpha ${alpha}: ${ofRanks.join(' ')}`],
  ];
}
