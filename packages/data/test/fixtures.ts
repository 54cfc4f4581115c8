import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { sharedPath } from '@qdylora/testing/node';
import { loadTokenizer, type ChatMessage, type Tokenizer } from '../src/index.ts';

/**
 * Golden files of this package; versions, seed and hashes lie beside them, makers in packages/testing/makers.
 */
export const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url));

/** More of the same, and a text to measure with, where they lie beside the checkout; else null. */
const SHARED_TOKENIZERS = sharedPath('fixtures/tokenizers/');
export const SHAKESPEARE = sharedPath('data/tinyshakespeare/input.txt');

export interface TextCase {
  text: string;
  ids: number[];
  ids_with_special_tokens?: number[];
  decoded?: string;
  decoded_without_special_tokens?: string;
}
export interface AnswerCase {
  message: number;
  characters: [number, number];
  added_text: string;
  tokens: [number, number] | null;
}
export interface ConversationCase {
  name: string;
  messages: ChatMessage[];
  error?: string;
  rendered: string;
  ids: number[];
  rendered_with_generation_prompt: string;
  ids_with_generation_prompt: number[];
  answers: AnswerCase[];
  assistant_mask?: number[];
}
export interface ChatCase {
  template: string;
  special_tokens: Record<string, string>;
  conversations: ConversationCase[];
}
export interface Expected {
  texts: TextCase[];
  chats: Record<string, ChatCase>;
}

export const readExpected = (name: string, folder = FIXTURES): Expected =>
  JSON.parse(readFileSync(`${folder}${name}.expected.json`, 'utf8')) as Expected;

export const tokenizerJson = (name: string, folder = FIXTURES): unknown =>
  JSON.parse(gunzipSync(readFileSync(`${folder}${name}.tokenizer.json.gz`)).toString('utf8'));

/** A fixture's tokenizer with the special tokens and the template of one of its chats. */
export function fixtureTokenizer(name: string, chat?: string, folder = FIXTURES): Tokenizer {
  const { template = null, special_tokens = {} } = chat ? readExpected(name, folder).chats[chat] : {};
  return loadTokenizer({
    tokenizerJson: tokenizerJson(name, folder),
    tokenizerConfig: special_tokens,
    chatTemplate: template,
  });
}

/** Fixture names with a tokenizer.json at hand, with their folder. */
export const tokenizerFixtures = (): [string, string][] => [
  ...['smollm2', 'tiny-llama2-style', 'tiny-llama3-style', 'tiny-unigram'].map((name): [string, string] => [
    name,
    FIXTURES,
  ]),
  ...['qwen2.5', 'gpt2'].flatMap((name): [string, string][] =>
    SHARED_TOKENIZERS ? [[name, SHARED_TOKENIZERS]] : [],
  ),
];
