/**
 * Chat templates of well-known model families by name, as Jinja text for `createChatTemplate`, `loadTokenizer`
 * and every other program that reads chat templates. Beginning and end of text are the tokenizer's
 * (`bos_token`, `eos_token`). No template writes a system message of its own, except `alpaca`, whose
 * preamble it is.
 *
 * | name | as in | a question and its answer |
 * |---|---|---|
 * | `chatml` | Qwen, SmolLM2, Yi | `<\|im_start\|>user⏎…<\|im_end\|>⏎<\|im_start\|>assistant⏎…<\|im_end\|>⏎` |
 * | `llama3` | Llama 3 Instruct | headers of `<\|start_header_id\|>`, turns that end in `<\|eot_id\|>` |
 * | `llama2` | Llama 2 Chat | `<s>[INST] … [/INST] … </s>`; the system message in `<<SYS>>` |
 * | `mistral` | Mistral 7B Instruct v0.3 | `<s>[INST] …[/INST] …</s>` |
 * | `gemma` | Gemma 2 and 3 | `<bos><start_of_turn>user⏎…<end_of_turn>⏎<start_of_turn>model⏎…<end_of_turn>⏎` |
 * | `zephyr` | Zephyr, TinyLlama | `<\|user\|>⏎…</s>⏎<\|assistant\|>⏎…</s>⏎` |
 * | `alpaca` | Stanford Alpaca | `### Instruction:⏎…⏎⏎### Response:⏎…</s>⏎⏎`, after the preamble |
 *
 * `llama2`, `mistral` and `gemma` have no system role: they write a system message before the first question.
 */
export const BUILT_IN_TEMPLATES = {
  chatml: [
    '{% for message in messages %}',
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}",
    '{% endfor %}',
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  ].join(''),
  llama3: [
    '{{ bos_token }}',
    '{% for message in messages %}',
    "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}",
    "{{ message.content | trim + '<|eot_id|>' }}",
    '{% endfor %}',
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
  ].join(''),
  llama2: withSystemInFirstTurn({
    system: "'<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n'",
    user: "{{ bos_token }}{{ '[INST] ' + (system + message.content) | trim + ' [/INST]' }}",
    assistant: "{{ ' ' + message.content | trim + ' ' }}{{ eos_token }}",
  }),
  mistral: withSystemInFirstTurn({
    system: "messages[0].content + '\\n\\n'",
    opening: '{{ bos_token }}',
    user: "{{ '[INST] ' + system + message.content + '[/INST]' }}",
    assistant: "{{ ' ' + message.content | trim }}{{ eos_token }}",
  }),
  gemma: withSystemInFirstTurn({
    system: "messages[0].content + '\\n\\n'",
    opening: '{{ bos_token }}',
    user: "{{ '<start_of_turn>user\\n' + system + message.content | trim + '<end_of_turn>\\n' }}",
    assistant: "{{ '<start_of_turn>model\\n' + message.content | trim + '<end_of_turn>\\n' }}",
    generationPrompt: "{{ '<start_of_turn>model\\n' }}",
  }),
  zephyr: [
    '{% for message in messages %}',
    "{{ '<|' + message.role + '|>\\n' + message.content }}{{ eos_token }}{{ '\\n' }}",
    '{% endfor %}',
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}",
  ].join(''),
  alpaca: withSystemInFirstTurn({
    system: "messages[0].content + '\\n\\n'",
    noSystem:
      "'Below is an instruction that describes a task. Write a response that appropriately completes the " +
      "request.\\n\\n'",
    opening: '{{ bos_token }}',
    user: "{{ system + '### Instruction:\\n' + message.content + '\\n\\n' }}",
    assistant: "{{ '### Response:\\n' + message.content }}{{ eos_token }}{{ '\\n\\n' }}",
    generationPrompt: "{{ '### Response:\\n' }}",
  }),
} as const satisfies Readonly<Record<string, string>>;

export type BuiltInTemplate = keyof typeof BUILT_IN_TEMPLATES;

/** Names of the built-in chat templates. */
export const BUILT_IN_TEMPLATE_NAMES = Object.keys(BUILT_IN_TEMPLATES) as readonly BuiltInTemplate[];

/** Jinja expressions and texts of a template whose first question carries the system message. */
interface TurnParts {
  /** Expression of what the system message adds to the first question. */
  readonly system: string;
  /** The same where there is no system message. */
  readonly noSystem?: string;
  readonly opening?: string;
  readonly user: string;
  readonly assistant: string;
  readonly generationPrompt?: string;
}

/** Turns must alternate, beginning with a user turn: these families know no other conversations. */
function withSystemInFirstTurn({
  system,
  noSystem = "''",
  opening = '',
  user,
  assistant,
  generationPrompt = '',
}: TurnParts): string {
  return [
    opening,
    "{% set has_system = messages[0].role == 'system' %}",
    '{% for message in (messages[1:] if has_system else messages) %}',
    "{% if message.role != ('user' if loop.index0 % 2 == 0 else 'assistant') %}",
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}",
    '{% endif %}',
    `{% set system = '' if not loop.first else (${system} if has_system else ${noSystem}) %}`,
    `{% if message.role == 'user' %}${user}{% else %}${assistant}{% endif %}`,
    '{% endfor %}',
    generationPrompt === '' ? '' : `{% if add_generation_prompt %}${generationPrompt}{% endif %}`,
  ].join('');
}
