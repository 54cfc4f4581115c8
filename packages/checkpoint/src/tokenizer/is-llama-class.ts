/** True for a `tokenizer_config.json` of the class `LlamaTokenizer` of transformers, in either name. */
export const isLlamaClass = (config: Readonly<Record<string, unknown>> | null): boolean =>
  /^LlamaTokenizer(Fast)?$/.test(String(config?.tokenizer_class));
