import {
  anyValue,
  assertArgument,
  checkOptions,
  objectWith,
  orNull,
  shownValue,
  someText,
  trueOrFalse,
  type OptionRules,
} from '@qdylora/contract';
import { templateValue } from '../jinja/python/values.ts';
import { readsName } from '../jinja/reads-name.ts';
import { renderProgram, TemplateFailure } from '../jinja/render-program.ts';
import type { Program } from '../jinja/nodes.ts';
import type { ChatMessage } from './chat-message.ts';
import { contentFor } from './content-parts.ts';
import { hasGenerationMarks, hideMarks, readMarks, writeMarks, type MarkedText } from './generation-marks.ts';
import { parseTemplate } from './parse-template.ts';
import { renderContinued } from './render-continued.ts';
import { templateError } from './template-error.ts';
import { templateGlobals } from './template-globals.ts';

/** Options of `ChatTemplate.render`: how the text ends, and which variables the template gets. */
export interface RenderOptions {
  /** Adds the header of an assistant turn, ready for generation. Default: false. */
  readonly addGenerationPrompt?: boolean;
  /**
   * Ends with the text of the last message, so that a model goes on with it; not in `renderMarked`. Default:
   * false.
   */
  readonly continueFinalMessage?: boolean;
  /** The template's `tools`. Default: None. */
  readonly tools?: readonly unknown[];
  /** More variables of the template, such as `enable_thinking`; they replace those of the tokenizer. */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** Source of the conversation, for errors. Default: `chat template`. */
  readonly where?: string;
}

const RENDER_RULES: OptionRules<RenderOptions> = {
  addGenerationPrompt: trueOrFalse,
  continueFinalMessage: trueOrFalse,
  tools: anyValue,
  variables: objectWith(),
  where: someText,
};

/** A compiled chat template: it turns a conversation into the text that a model reads. */
export interface ChatTemplate {
  /** The Jinja text. */
  readonly source: string;
  /** True if the template marks assistant text with `{% generation %}`. */
  readonly marksAnswers: boolean;
  /** The template's `eos_token`; omitted = none. */
  readonly endToken?: string;
  /** The template for conversations with tools, if the model has a separate one. */
  readonly forTools?: ChatTemplate;
  /** Whether the template reads a variable, such as `tools`. A key of a message is not a variable. */
  reads(variable: string): boolean;
  /** Renders a conversation as the text that a model reads. */
  render(messages: readonly ChatMessage[], options?: RenderOptions): string;
  /** Renders a conversation, with the spans between generation marks. */
  renderMarked(messages: readonly ChatMessage[], options?: RenderOptions): MarkedText;
}

/** Options of `createChatTemplate`: the variables that every conversation shares, and the date. */
export interface ChatTemplateOptions {
  /** Variables of the template, such as `bos_token`. */
  readonly variables?: Readonly<Record<string, string>>;
  /** The Jinja text of the template for conversations with tools; null: the same template. */
  readonly toolSource?: string | null;
  /**
   * The date that `strftime_now` formats. Fixed, so that a resumed run reads the same tokens. Default: 26
   * July 2024, the fallback of Llama's templates.
   */
  readonly date?: Date;
}

const RULES: OptionRules<ChatTemplateOptions> = {
  variables: objectWith(),
  toolSource: orNull(someText),
  date: objectWith('getTime'),
};

/**
 * Compiles a model's chat template, in the dialect of transformers: trimmed blocks, `raise_exception`,
 * `strftime_now`, `{% generation %}`.
 *
 * @throws QdyloraError BAD_ARGUMENT for invalid options. `render` throws BAD_CONFIG for a template that is
 * not Jinja or exceeds its limits, UNSUPPORTED for Jinja that is not implemented, BAD_DATA if the template
 * refuses the conversation or the last message cannot be continued, and BAD_ARGUMENT for messages that are
 * not an array or for invalid options.
 */
export function createChatTemplate(source: string, options: ChatTemplateOptions = {}): ChatTemplate {
  assertArgument(
    typeof source === 'string',
    'chat template',
    `The source of a chat template must be its Jinja text (got ${shownValue(source)})`,
  );
  checkOptions('chat template', options, RULES);
  const { variables = {}, toolSource = null, date = new Date(Date.UTC(2024, 6, 26)) } = options;
  const marksAnswers = hasGenerationMarks(source);
  const plain = compiled(hideMarks(source));
  const marked = compiled(writeMarks(source), plain);
  const globals = templateGlobals(date);
  const withContent = contentFor(plain);
  const render = (
    program: () => Program,
    messages: readonly ChatMessage[],
    { addGenerationPrompt = false, tools, variables: more, where = 'chat template' }: RenderOptions,
  ): string => {
    const inputs = {
      ...variables,
      ...more,
      messages: messages.map((message) => withReasoning(withoutNulls(withContent(message)))),
      tools: tools ?? null,
      add_generation_prompt: addGenerationPrompt,
    };
    const inputLength = source.length + JSON.stringify(inputs, withoutMaps).length;
    const values = Object.entries(inputs).map(([name, value]) => [name, templateValue(value)] as const);
    try {
      return renderProgram(program(), { ...globals, ...Object.fromEntries(values) }, inputLength);
    } catch (error) {
      if (!(error instanceof TemplateFailure)) throw error;
      throw templateError({ error: error.cause, node: error.node }, source, where);
    }
  };
  return {
    source,
    marksAnswers,
    ...(variables.eos_token !== undefined && { endToken: variables.eos_token }),
    ...(toolSource !== null && { forTools: createChatTemplate(toolSource, { variables, date }) }),
    reads: namesReadBy(plain),
    render(messages, renderOptions = {}) {
      const { continueFinalMessage, where = 'chat template' } = checked(messages, renderOptions);
      assertArgument(
        !(continueFinalMessage && renderOptions.addGenerationPrompt),
        where,
        'A conversation ends with its last message (`continueFinalMessage`) or with the header of the next ' +
          'one (`addGenerationPrompt`), not with both',
      );
      const rendered = (shown: readonly ChatMessage[]): string => render(plain, shown, renderOptions);
      return continueFinalMessage ? renderContinued(messages, where, rendered) : rendered(messages);
    },
    renderMarked(messages, renderOptions = {}) {
      const { continueFinalMessage, where = 'chat template' } = checked(messages, renderOptions);
      const advice = '`renderMarked` has no `continueFinalMessage`: use `render`';
      assertArgument(!continueFinalMessage, where, advice);
      return readMarks(render(marked, messages, renderOptions));
    },
  };
}

/** Answers whether a program reads a variable, and looks through it once for each name. */
function namesReadBy(program: () => Program): (variable: string) => boolean {
  const known = new Map<string, boolean>();
  return (variable) => {
    const isRead = known.get(variable) ?? readsName(program(), variable);
    known.set(variable, isRead);
    return isRead;
  };
}

function checked(messages: unknown, options: RenderOptions): RenderOptions {
  assertArgument(
    Array.isArray(messages),
    'chat template',
    `The messages must be an array (got ${shownValue(messages)})`,
    "Give [{ role: 'user', content: '…' }].",
  );
  checkOptions('chat template', options, RENDER_RULES);
  return options;
}

/** The template for a conversation: with tools, the one that the model has for tools, if it has one. */
export const templateFor = (template: ChatTemplate, tools: readonly unknown[] | undefined): ChatTemplate =>
  tools ? (template.forTools ?? template) : template;

/**
 * Leaves out the keys without a value, as transformers 5 does: APIs and Parquet files write `content: null`
 * and `tool_calls: null`, which templates would print as `None` or take for calls.
 */
const withoutNulls = (message: ChatMessage): ChatMessage =>
  Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null)) as ChatMessage;

/** Keys of a message's reasoning; the first one that is present counts. */
const REASONING = ['reasoning_content', 'thinking', 'reasoning'] as const;

/** Adds a message's reasoning under the names that templates read, as transformers 5 does. */
function withReasoning(message: ChatMessage): ChatMessage {
  const reasoning = REASONING.map((name) => message[name]).find(
    (text) => text !== undefined && text !== null,
  );
  return reasoning === undefined
    ? message
    : { thinking: reasoning, ...message, reasoning_content: reasoning };
}

/** Converts the Maps of exact JSON, which `JSON.stringify` would print as empty objects. */
const withoutMaps = (_: string, value: unknown): unknown =>
  value instanceof Map ? Object.fromEntries(value) : value;

/**
 * Parses a template on first use: a template that is never used may be invalid.
 *
 * @param parseFirst parses the same template with the places of its source, for errors
 */
function compiled(source: string, parseFirst?: () => Program): () => Program {
  let program: Program | null = null;
  return () => {
    if (!program) parseFirst?.();
    return (program ??= parseTemplate(source));
  };
}
