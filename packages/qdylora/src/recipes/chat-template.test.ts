import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { ChatMessage } from '@qdylora/data';
import { BUILT_IN_TEMPLATES } from '@qdylora/data';
import { describe, expect, it } from 'vitest';
import { command } from '../../test/run-command.ts';
import { rejection, run } from '../../test/tiny-run.ts';
import { temporaryPlace, writeTinyModel } from '../../test/tiny-model.ts';
import { mergeExplicit, valuesOfFlags } from '../config/explicit-values.ts';
import { adapterSource } from '../serve/adapter-source.ts';
import { openServedModels } from '../serve/open-served-models.ts';
import { openAnswerer } from './answer.ts';
import { evaluate } from './evaluate.ts';
import { mergeAdapter } from './merge-adapter.ts';

const folder = temporaryPlace();
const model = writeTinyModel(folder.in('model'), { tokenizer: true });
/** The same model without a chat template of its own. */
const base = writeTinyModel(folder.in('base'), { tokenizer: true });
writeFileSync(folder.in('base/tokenizer_config.json'), '{"bos_token":"<s>","eos_token":"</s>"}');

const chats = folder.in('chats.jsonl');
const exchange = [
  { role: 'user', content: 'hi' },
  { role: 'assistant', content: 'yes' },
];
writeFileSync(chats, `${JSON.stringify({ messages: exchange })}\n`.repeat(4));
const pairs = folder.in('pairs.jsonl');
writeFileSync(pairs, '{"prompt":"hi ","completion":"yes"}\n'.repeat(4));

const options = {
  model: base,
  dataset: chats,
  ranks: [1, 2],
  backend: 'host',
  quantization: 'none',
  microBatchSize: 2,
  maxSteps: 1,
} as const;

/** Trains a step, and gives the folder of the adapter. */
async function train(name: string, further: object): Promise<string> {
  await run({ ...options, ...further, outputDir: folder.in(name) });
  return folder.in(`${name}/adapter`);
}

/** The text of the prompt that `generate` reads. */
async function promptText(flags: object, messages: readonly ChatMessage[] = exchange.slice(0, 1)) {
  const explicit = valuesOfFlags({ model: base, backend: 'host', quantization: 'none', ...flags });
  using answerer = await openAnswerer(explicit, {});
  return answerer.tokenizer!.decode(answerer.promptOf(messages));
}

const sidecarOf = (adapter: string) =>
  JSON.parse(readFileSync(`${adapter}/qdylora.json`, 'utf8')) as {
    prompt: { chat_template?: { name: string | null; source: string } };
  };

describe('chat_template', () => {
  it('a name is trained with, stored with the adapter, and used by generate, eval and merge', async () => {
    const adapter = await train('zephyr', { chatTemplate: 'zephyr' });
    expect(sidecarOf(adapter).prompt.chat_template).toEqual({
      name: 'zephyr',
      source: BUILT_IN_TEMPLATES.zephyr,
    });
    expect(await promptText({ adapter })).toBe('<|user|>\nhi</s>\n<|assistant|>\n');

    // without the adapter, the model has no template for such rows
    const judged = { model: base, dataset: chats, backend: 'host', quantization: 'none' } as const;
    const { results } = await evaluate({ ...judged, adapter, ranks: [2] });
    const tokensOfRow = 'yes</s>\n'.replace('</s>', '·').length;
    expect(results[0].tokens).toBe(4 * tokensOfRow);
    await expect(evaluate(judged)).rejects.toThrow(/Conversations need a chat template/);

    await mergeAdapter({ model: base, adapter, rank: 2, outputDir: folder.in('merged'), backend: 'host' });
    expect(readFileSync(folder.in('merged/chat_template.jinja'), 'utf8')).toBe(BUILT_IN_TEMPLATES.zephyr);
  });

  it('a file is stored by its text, so that the adapter does not need it', async () => {
    const file = folder.in('own.jinja');
    const source = '{% for m in messages %}<{{ m.content }}>{% endfor %}';
    writeFileSync(file, source);
    const adapter = await train('file', { chatTemplate: file });
    writeFileSync(file, 'changed');
    expect(sidecarOf(adapter).prompt.chat_template).toEqual({ name: null, source });
    expect(await promptText({ adapter })).toBe('<hi>');
  });

  it('takes the place of the template that the model has', async () => {
    const adapter = await train('instead', { model, chatTemplate: 'chatml' });
    const prompt = '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n';
    expect(await promptText({ model, adapter })).toBe(prompt);
    expect(await promptText({ model })).toBe('u:hi\na:');
  });

  it('is not in the adapter of a run that does not set it', async () => {
    expect(sidecarOf(await train('without', { model })).prompt).toEqual({
      dataset_format: 'messages',
      apply_chat_template: false,
    });
  });

  it('a flag of generate wins over what the adapter holds', async () => {
    const adapter = folder.in('zephyr/adapter');
    expect(await promptText({ adapter, chatTemplate: 'mistral' })).toBe('<s>[INST] hi[/INST]');
    expect(await promptText({ chatTemplate: 'mistral' })).toBe('<s>[INST] hi[/INST]');
  });

  it('is used by a run that starts from an adapter which holds one', async () => {
    const adapter = folder.in('zephyr/adapter');
    const { ranks: _, ...inherited } = options;
    await run({ ...inherited, adapter, outputDir: folder.in('further') });
    expect(sidecarOf(folder.in('further/adapter')).prompt).toEqual(sidecarOf(adapter).prompt);
  });

  it('the trained model of method none has it in its folder', async () => {
    const { ranks: _, ...full } = options;
    const outputDir = folder.in('full');
    await run({ ...full, model, method: 'none', chatTemplate: 'chatml', outputDir });
    expect(existsSync(`${outputDir}/adapter`)).toBe(false);
    expect(readFileSync(`${outputDir}/model/chat_template.jinja`, 'utf8')).toBe(BUILT_IN_TEMPLATES.chatml);
  });

  it('says where the tokenizer has no token for the end of an answer', async () => {
    const notices = async (chatTemplate: string): Promise<string[]> => {
      const events = await run({ ...options, chatTemplate, outputDir: folder.in(`notices-${chatTemplate}`) });
      return events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    };
    const note = expect.stringMatching(
      /^(chat: )?The tokenizer has no token <\|im_end\|>, .* split into 10 tokens, .*does not stop/,
    ) as string;
    expect(await notices('chatml')).toContainEqual(note);
    expect((await notices('alpaca')).join('\n')).not.toContain('has no token');

    const later: string[] = [];
    const onNotice = (message: string): void => void later.push(message);
    const adapter = folder.in('notices-chatml/adapter');
    const flags = valuesOfFlags({ model: base, backend: 'host', quantization: 'none' });
    (await openAnswerer(mergeExplicit(flags, valuesOfFlags({ adapter })), { onNotice }))[Symbol.dispose]();
    expect(later).toContainEqual(note);
    later.length = 0;
    const source = await adapterSource(`chat=${adapter}`);
    (await openServedModels([source], flags, onNotice))[Symbol.dispose]();
    expect(later).toContainEqual(note);
  });
});

describe('a chat_template that cannot be used', () => {
  const UNKNOWN =
    '`--chat-template` must be one of chatml, llama3, llama2, mistral, gemma, zephyr, alpaca, or the path ' +
    'of a Jinja file (got "chatmll")';

  it.each(['train', 'eval', 'generate', 'inspect'])(
    '%s lists the names where it is unknown',
    async (verb) => {
      const { code, out } = await command(verb, '--chat-template', 'chatmll', '--model', model, '--json');
      const { error } = JSON.parse(out) as { error: { message: string } };
      expect([code, error.message]).toEqual([2, expect.stringContaining(UNKNOWN)]);
    },
  );

  it('the error of a YAML file names the line', async () => {
    writeFileSync(folder.in('run.yaml'), 'model: x\nchat_template: chatmll\n');
    const { err } = await command('train', folder.in('run.yaml'));
    expect(err).toMatch(/run\.yaml:2\] `chat_template` must be one of chatml, /);
  });

  it('training, eval and inspect refuse it where no row goes through a chat template', async () => {
    const refused = expect.objectContaining({
      code: 'BAD_CONFIG',
      message: expect.stringContaining(
        '`chat_template` is chatml, but no row goes through a chat template: the format of the rows is ' +
          'prompt_completion.',
      ) as string,
    }) as Error;
    const plain = { ...options, dataset: pairs, chatTemplate: 'chatml' };
    expect(await rejection(() => run({ ...plain, outputDir: folder.in('plain') }))).toEqual(refused);
    expect(await rejection(() => run({ ...plain, streaming: true, outputDir: folder.in('plain') }))).toEqual(
      refused,
    );
    const { model: path, backend, dataset, chatTemplate } = plain;
    expect(await rejection(() => evaluate({ model: path, backend, dataset, chatTemplate }))).toEqual(refused);
    const shown = await command('inspect', base, '--data', pairs, '--chat-template', 'chatml');
    expect([shown.code, shown.err]).toEqual([2, expect.stringContaining('no row goes through a chat')]);

    await run({ ...plain, applyChatTemplate: true, outputDir: folder.in('applied') });
  });

  it('eval writes rows of prompts and answers as the training of the adapter did', async () => {
    const { model: path, backend } = options;
    const applied = { ...options, dataset: pairs, chatTemplate: 'chatml', applyChatTemplate: true };
    await run({ ...applied, outputDir: folder.in('trained') });
    const adapter = folder.in('trained/adapter');
    const notices: string[] = [];
    const rowsWith = async (applyChatTemplate?: boolean) => {
      const onNotice = (notice: string) => notices.push(notice);
      const { results } = await evaluate({
        model: path,
        backend,
        adapter,
        dataset: pairs,
        applyChatTemplate,
        onNotice,
      });
      return results;
    };
    const trained = await rowsWith(true);
    expect(await rowsWith()).toEqual(trained);
    expect(notices).not.toContainEqual(expect.stringContaining('apply_chat_template'));
    expect(await rowsWith(false)).not.toEqual(trained);
    expect(notices).toContainEqual(
      expect.stringContaining('trained with apply_chat_template: true. Here it is false'),
    );
  });

  it('generate refuses it together with raw', async () => {
    const error = await rejection(() => promptText({ chatTemplate: 'chatml', raw: true }));
    expect(error.message).toContain('`raw` writes the prompt as it is, without the chat template chatml.');
  });
});

it('inspect shows rows as the named template writes them', async () => {
  const { out } = await command('inspect', base, '--data', chats, '--chat-template', 'zephyr');
  expect(out).toContain('<|user|>');
});
