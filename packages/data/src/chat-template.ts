import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { QdyloraError } from '@qdylora/contract';
import { badData } from './bad-data.ts';
import { hasGenerationMarks, readMarks, writeMarks, type MarkedText } from './generation-marks.ts';
import { strftime } from './strftime.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string | null;
  /** `name`, `tool_calls`, `tool_call_id`, `reasoning_content`, as the template knows them. */
  readonly [key: string]: unknown;
}

export interface RenderOptions {
  /** Ends with the header of an assistant turn, ready for a model to answer. */
  readonly addGenerationPrompt?: boolean;
  readonly tools?: readonly unknown[];
  /** Where the conversation comes from, for errors. */
  readonly where?: string;
}

export interface ChatTemplate {
  /** The Jinja text. */
  readonly source: string;
  /** Whether its author marked the assistant's words with `{% generation %}`. */
  readonly marksAnswers: boolean;
  /** A conversation as the text that a model reads. */
  render(messages: readonly ChatMessage[], options?: RenderOptions): string;
  /** The same, with the spans between generation marks. */
  renderMarked(messages: readonly ChatMessage[], options?: RenderOptions): MarkedText;
}

export interface ChatTemplateOptions {
  /** `bos_token` and the like. */
  readonly variables?: Readonly<Record<string, string>>;
  /** What a template that writes today's date gets. Fixed, so that a resumed run reads the same tokens; the default is the one Llama's templates fall back to. */
  readonly date?: Date;
}

/** `range(10 ** 9)` in a template would fill memory; no conversation has so many turns. */
const MAX_RANGE = 100_000;

/**
 * A model's chat template, in the dialect of transformers: trimmed blocks, `raise_exception`, `strftime_now`, `{% generation %}`.
 *
 * `render` throws QdyloraError BAD_CONFIG for a template that is not Jinja, BAD_DATA where it refuses a conversation (with its own words).
 */
export function createChatTemplate(source: string, options: ChatTemplateOptions = {}): ChatTemplate {
  const { variables = {}, date = new Date(Date.UTC(2024, 6, 26)) } = options;
  const marksAnswers = hasGenerationMarks(source);
  const plain = compiled(source), marked = compiled(writeMarks(source));
  const run = (program: () => ReturnType<typeof parse>, messages: readonly ChatMessage[], { addGenerationPrompt = false, tools, where = 'chat template' }: RenderOptions): string => {
    const environment = globals(date);
    for (const [name, value] of Object.entries({ ...variables, messages, tools: tools ?? null, add_generation_prompt: addGenerationPrompt })) environment.set(name, value);
    try {
      return (new Interpreter(environment).run(program()) as { value: string }).value;
    } catch (cause) {
      if (QdyloraError.isInstance(cause)) throw cause;
      throw badData(where, `expected a conversation that the chat template accepts, got its refusal: ${(cause as Error).message}`, 'Correct the messages of this row, or give the model another template.', cause);
    }
  };
  return {
    source, marksAnswers,
    render: (messages, render = {}) => run(plain, messages, render),
    renderMarked: (messages, render = {}) => readMarks(run(marked, messages, render)),
  };
}

/** Parses on first use: a model whose template nobody needs may have a bad one. */
function compiled(source: string): () => ReturnType<typeof parse> {
  let program: ReturnType<typeof parse> | null = null;
  return () => {
    try {
      return (program ??= parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true })));
    } catch (cause) {
      throw new QdyloraError('BAD_CONFIG', { where: 'chat template', problem: `expected a Jinja template, got one that cannot be read: ${(cause as Error).message}`, nextStep: 'Take chat_template from the model that the tokenizer belongs to.', cause });
    }
  };
}

function globals(date: Date): Environment {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ true: true, false: false, none: null, True: true, False: false, None: null })) environment.set(name, value);
  environment.set('raise_exception', (message: string) => { throw new Error(message); });
  environment.set('strftime_now', (format: string) => strftime(date, format));
  environment.set('range', range);
  return environment;
}

function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= MAX_RANGE)) throw new Error(`range of ${length} numbers`);
  return Array.from({ length }, (_, i) => start + i * step);
}
