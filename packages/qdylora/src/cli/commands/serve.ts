import { once } from 'node:events';
import { QdyloraError } from '@qdylora/contract';
import type { Command } from 'commander';
import { SERVE_KEYS } from '../../config/serve-keys.ts';
import { precisionText } from '../../recipes/opening/weight-precision.ts';
import { adapterSource } from '../../serve/adapter-source.ts';
import { openServedModels } from '../../serve/open-served-models.ts';
import { startServer, type RunningServer } from '../../serve/start-server.ts';
import type { CommonFlags, Context } from '../context.ts';
import { addKeyFlags, explicitFlags, repeatedFlag } from '../key-flags.ts';
import type { Terminal } from '../terminal.ts';

/** `--adapter` may be repeated. */
type ServeFlags = CommonFlags & { readonly adapter?: readonly string[] } & Record<string, unknown>;

const { adapter, ...FLAGS } = SERVE_KEYS;

export function addServeCommand(program: Command, context: Context): void {
  const command = program
    .command('serve')
    .summary('serve every rank through an OpenAI-compatible API')
    .argument('[folder]', 'Folder of a run or of an adapter')
    .description(
      'Serves an adapter at every rank, and its base, through an OpenAI-compatible API. The rank is in the ' +
        "model's name: smol:r8, smol:base; smol is the recommended rank. All share one base in memory.",
    );
  addKeyFlags(command, FLAGS).addOption(
    repeatedFlag('adapter', {
      ...adapter,
      placeholder: 'name=folder',
      about: 'A further adapter of the same base; may be repeated',
    }),
  );
  command.action(async (folder: string | undefined, flags: ServeFlags) => {
    const { terminal, interruptible, page } = context;
    const named = [...(folder === undefined ? [] : [folder]), ...(flags.adapter ?? [])];
    if (named.length === 0)
      throw new QdyloraError('BAD_CONFIG', {
        where: 'adapter',
        problem: 'There is no adapter to serve',
        nextStep: 'Name the folder of a run: npx qdylora serve runs/first.',
      });
    const sources = await Promise.all(named.map(adapterSource));
    terminal.status('loading the model …');
    using served = await openServedModels(sources, explicitFlags(FLAGS, flags), terminal.note);
    const server = await startServer(served, { page, onError: noteError(terminal) });
    terminal.status('');
    terminal.note(terminal.paint('dim', precisionText(served.opened.precision)));
    announce(server, served.models.list, terminal);
    await interruptible(async (signal) => {
      await once(signal, 'abort');
      await server.close();
    }, 'Ending the running answers');
  });
}

function announce(
  { url, contextTokens, capacityTokens }: RunningServer,
  models: readonly { readonly id: string }[],
  terminal: Terminal,
): void {
  terminal.note(
    `${models.map(({ id }) => id).join(', ')} · context ${contextTokens.toLocaleString('en-US')} tokens, ` +
      `memory for ${capacityTokens.toLocaleString('en-US')}`,
  );
  terminal.out(`${url}/v1`);
  terminal.note(terminal.paint('dim', `A page to try them is at ${url}/. Ctrl-C ends the server.`));
}

const noteError =
  (terminal: Terminal) =>
  (error: unknown): void => {
    terminal.note(
      `A request failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  };
