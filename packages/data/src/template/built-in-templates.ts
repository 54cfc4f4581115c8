/**
 * Chat templates of well-known model families by name, as Jinja text: for `createChatTemplate`,
 * `loadTokenizer` and other programs that read chat templates. The marks of begin and end are the tokenizer's
 * (`bos_token`, `eos_token`).
 *
 * | name | as in | a question and its answer (⏎: newline) |
 * |---|---|---|
 * | `chatml` | Qwen, SmolLM2, Yi | `<|im_start|>user⏎Q<|im_end|>⏎<|im_start|>assistant⏎A<|im_end|>⏎` |
 * | `llama3` | Llama 3 Instruct | a header `<|start_header_id|>user<|end_header_id|>⏎⏎`, then `Q<|eot_id|>` |
 * | `llama2` | Llama 2 Chat | `<s>[INST] Q [/INST] A </s>`; a system message stands in `<<SYS>>` |
 * | `mistral` | Mistral 7B Instruct v0.3 | `<s>[INST] Q[/INST] A</s>` |
 * | `gemma` | Gemma 2 and 3 | `<start_of_turn>user⏎Q<end_of_turn>⏎<start_of_turn>model⏎A<end_of_turn>⏎` |
 * | `zephyr` | Zephyr, TinyLlama | `<|user|>⏎Q</s>⏎<|assistant|>⏎A</s>⏎` |
 * | `alpaca` | Stanford Alpaca | the preamble, then `### Instruction:⏎Q⏎⏎### Response:⏎A</s>⏎⏎` |
 *
 * `llama2`, `mistral` and `gemma` have no turn for a system message: it becomes part of the first question.
 * In `alpaca` it replaces the preamble.
 *
 * @example
 * const tokenizer = loadTokenizer({ ...files, chatTemplate: BUILT_IN_TEMPLATES.chatml });
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

/** The name of a built-in chat template. */
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
