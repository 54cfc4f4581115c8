import { Environment, parse, tokenize } from '@huggingface/jinja';
import {
  anyValue,
  assertArgument,
  checkOptions,
  objectWith,
  orNull,
  QdyloraError,
  shownValue,
  someText,
  trueOrFalse,
  type OptionRules,
} from '@qdylora/contract';
import { badData } from '../bad-data.ts';
import { hasGenerationMarks, readMarks, writeMarks, type MarkedText } from './generation-marks.ts';
import { interpretTemplate, TemplateLimit, type TemplateFailure } from './interpret-template.ts';
import { runtimeValue } from './runtime-value.ts';
import { strftime } from './strftime.ts';
import { firstBadTag, tagPlace, wordPlace } from './template-place.ts';

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

const RENDER_RULES: OptionRules<RenderOptions> = {
  addGenerationPrompt: trueOrFalse,
  tools: anyValue,
  where: someText,
};

export interface ChatTemplate {
  /** The Jinja text. */
  readonly source: string;
  /** Whether its author marked the assistant's words with `{% generation %}`. */
  readonly marksAnswers: boolean;
  /** The one that the model has for conversations with tools, where it is another. */
  readonly forTools?: ChatTemplate;
  /** A conversation as the text that a model reads. */
  render(messages: readonly ChatMessage[], options?: RenderOptions): string;
  /** The same, with the spans between generation marks. */
  renderMarked(messages: readonly ChatMessage[], options?: RenderOptions): MarkedText;
}

export interface ChatTemplateOptions {
  /** `bos_token` and the like. */
  readonly variables?: Readonly<Record<string, string>>;
  /** The Jinja text of the template for conversations with tools; null: the same. */
  readonly toolSource?: string | null;
  /**
   * What a template that writes today's date gets. Fixed, so that a resumed run reads the same tokens; the
   * default is the one Llama's templates fall back to.
   */
  readonly date?: Date;
}

const RULES: OptionRules<ChatTemplateOptions> = {
  variables: objectWith(),
  toolSource: orNull(someText),
  date: objectWith('getTime'),
};

/** `range(10 ** 9)` in a template would fill memory; no conversation has so many turns. */
const MAX_RANGE = 100_000;

/** Templates of models have up to 20 kB. */
const MAX_SOURCE = 2 ** 20;

/** Words of a template's own refusal. */
const refusals = (): { refuse: (message: string) => never; has: (error: unknown) => boolean } => {
  const made = new WeakSet<Error>();
  return {
    refuse(message) {
      const error = new Error(message);
      made.add(error);
      throw error;
    },
    has: (error) => error instanceof Error && made.has(error),
  };
};

/**
 * A model's chat template, in the dialect of transformers: trimmed blocks, `raise_exception`, `strftime_now`,
 * `{% generation %}`.
 *
 * `render` throws QdyloraError BAD_CONFIG for a template that is not Jinja, BAD_DATA where it refuses a
 * conversation (with its own words); both throw BAD_ARGUMENT for options that are unknown or of another kind,
 * and for messages that are no array.
 */
export function createChatTemplate(source: string, options: ChatTemplateOptions = {}): ChatTemplate {
  assertArgument(
    typeof source === 'string',
    'chat template',
    `expected its Jinja text, got ${shownValue(source)}`,
  );
  checkOptions('chat template', options, RULES);
  const { variables = {}, toolSource = null, date = new Date(Date.UTC(2024, 6, 26)) } = options;
  const marksAnswers = hasGenerationMarks(source);
  const plain = compiled(source);
  const marked = compiled(writeMarks(source));
  const run = (
    program: () => ReturnType<typeof parse>,
    messages: readonly ChatMessage[],
    { addGenerationPrompt = false, tools, where = 'chat template' }: RenderOptions,
  ): string => {
    const refused = refusals();
    const environment = globals(date, refused.refuse);
    const given = {
      ...variables,
      messages: messages.map(withReasoning),
      tools: tools ?? null,
      add_generation_prompt: addGenerationPrompt,
    };
    for (const [name, value] of Object.entries(given))
      environment.setVariable(name, runtimeValue(value) as never);
    const parsed = program();
    try {
      return interpretTemplate(
        parsed,
        environment,
        source.length + JSON.stringify(given, withoutMaps).length,
      );
    } catch (failure) {
      const { error, node } = failure as TemplateFailure;
      throw templateError(error, { node, source, where, isRefusal: refused.has(error) });
    }
  };
  return {
    source,
    marksAnswers,
    ...(toolSource !== null && { forTools: createChatTemplate(toolSource, { variables, date }) }),
    render: (messages, render = {}) => run(plain, messages, checked(messages, render)),
    renderMarked: (messages, render = {}) => readMarks(run(marked, messages, checked(messages, render))),
  };
}

function checked(messages: unknown, options: RenderOptions): RenderOptions {
  assertArgument(
    Array.isArray(messages),
    'chat template',
    `expected an array of messages, got ${shownValue(messages)}`,
    "Give [{ role: 'user', content: '…' }].",
  );
  checkOptions('chat template', options, RENDER_RULES);
  return options;
}

/** What a message's reasoning is called; the first one that is there counts. */
const REASONING = ['reasoning_content', 'thinking', 'reasoning'] as const;

/** A message with its reasoning under the names that templates read, as transformers 5 gives it. */
function withReasoning(message: ChatMessage): ChatMessage {
  const reasoning = REASONING.map((name) => message[name]).find(
    (text) => text !== undefined && text !== null,
  );
  return reasoning === undefined
    ? message
    : { thinking: reasoning, ...message, reasoning_content: reasoning };
}

/** Records of exact JSON are Maps, which `JSON.stringify` takes for empty ones. */
const withoutMaps = (_: string, value: unknown): unknown =>
  value instanceof Map ? Object.fromEntries(value) : value;

/** Parses on first use: a model whose template nobody needs may have a bad one. */
function compiled(source: string): () => ReturnType<typeof parse> {
  let program: ReturnType<typeof parse> | null = null;
  return () => (program ??= parseTemplate(source));
}

const read = (source: string): ReturnType<typeof tokenize> =>
  tokenize(source, { lstrip_blocks: true, trim_blocks: true });

function parseTemplate(source: string): ReturnType<typeof parse> {
  if (source.length > MAX_SOURCE) throw notJinja(`one of ${source.length} characters`, null);
  let tokens: ReturnType<typeof tokenize>;
  try {
    tokens = read(source);
  } catch (cause) {
    throw notJinja(
      `one that cannot be read at ${firstBadTag(source, read)}: ${(cause as Error).message}`,
      cause,
    );
  }
  // the parser says what it misses, not where: the last token that it looked at is the place
  let furthest = 0;
  const watched = new Proxy(tokens, {
    get(list, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) furthest = Math.max(furthest, Number(key));
      return Reflect.get(list, key) as unknown;
    },
  });
  try {
    return parse(watched);
  } catch (cause) {
    const tags = tokens
      .slice(0, furthest + 1)
      .filter(({ type }) => type === 'OpenStatement' || type === 'OpenExpression').length;
    throw notJinja(
      `one that cannot be read at ${tagPlace(source, Math.max(0, tags - 1))}: ${(cause as Error).message}`,
      cause,
    );
  }
}

const notJinja = (got: string, cause: unknown): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where: 'chat template',
    problem: `expected a Jinja template, got ${got}`,
    nextStep: 'Take chat_template from the model that the tokenizer belongs to.',
    cause,
  });

interface FailedAt {
  readonly node: TemplateFailure['node'];
  readonly source: string;
  readonly where: string;
  readonly isRefusal: boolean;
}

/**
 * What went wrong in a template: its own refusal of the conversation, a limit, something of Jinja that is not
 * known here, or a conversation that it does not fit.
 */
function templateError(error: unknown, { node, source, where, isRefusal }: FailedAt): Error {
  if (QdyloraError.isInstance(error)) return error;
  const { message } = error as Error;
  const word = wordOf(node);
  const place = word === null ? null : wordPlace(source, word);
  const at = place === null ? '' : ` at ${place} (${word!})`;
  if (isRefusal)
    return badData(
      where,
      `expected a conversation that the chat template accepts, got its refusal: ${message}`,
      'Correct the messages of this row, or give the model another template.',
      error,
    );
  if (error instanceof TemplateLimit)
    return new QdyloraError('BAD_CONFIG', {
      where: 'chat template',
      problem: `expected a template that ends soon, got one that asks for ${message}${at}`,
      nextStep: 'Take chat_template from the model that the tokenizer belongs to.',
      cause: error,
    });
  if (/^Unknown (?!variable)|Cannot call something that is not a function/.test(message)) {
    return new QdyloraError('UNSUPPORTED', {
      where: 'chat template',
      problem: `expected Jinja that is known here, got ${message}${at}`,
      nextStep: 'Write this part of the template another way, or use rows of prompt and completion.',
      cause: error,
    });
  }
  return badData(
    where,
    `expected a conversation that fits the chat template, got an error${at}: ${message}`,
    'Correct the messages of this row, or give the model another template.',
    error,
  );
}

/**
 * A word by which the failing part can be found in the source: a filter's, a test's, a function's or a
 * variable's name.
 */
function wordOf(node: unknown): string | null {
  const part = node as {
    value?: unknown;
    filter?: unknown;
    test?: unknown;
    callee?: unknown;
    property?: unknown;
    type?: string;
  } | null;
  if (!part) return null;
  if (part.type === 'Identifier') return typeof part.value === 'string' ? part.value : null;
  for (const inner of [part.filter, part.test, part.callee, part.property]) if (inner) return wordOf(inner);
  return null;
}

function globals(date: Date, refuse: (message: string) => never): Environment {
  const environment = new Environment();
  for (const [name, value] of Object.entries({
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
  }))
    environment.set(name, value);
  environment.set('raise_exception', refuse);
  environment.set('strftime_now', (format: string) => strftime(date, format));
  environment.set('range', range);
  return environment;
}

function range(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  const length = Math.max(0, Math.ceil((stop - start) / step));
  if (!(length <= MAX_RANGE)) throw new TemplateLimit(`a range of ${length} numbers`);
  return Array.from({ length }, (_, i) => start + i * step);
}
