// The readers of files from strangers: for each, valid files to begin with, and what is done with one input.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import {
  hfConfigOf,
  memoryByteSource,
  openCheckpoint,
  openSavedWeights,
  readGguf,
  readPeftAdapter,
  safetensorsOf,
} from '../../packages/checkpoint/dist/index.js';
import { createChatTemplate, loadDataset, loadTokenizer } from '../../packages/data/dist/index.js';
import { familyOf } from '../../packages/models/dist/index.js';
import { mutated } from './mutate.mjs';

/** Larger files make a fuzzer slow and say nothing more. */
const LARGEST_SEED = 300_000;

const readAll = (tensors) => {
  for (const entry of tensors.values()) {
    try {
      entry.readFloat32();
    } catch (error) {
      if (error.code !== 'UNSUPPORTED') throw error;
    }
  }
};

const TOKENIZER = JSON.stringify({
  version: '1.0',
  added_tokens: [{ id: 3, content: '<s>', special: true }],
  normalizer: { type: 'NFC' },
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel' },
  model: {
    type: 'BPE',
    unk_token: null,
    byte_fallback: false,
    vocab: { a: 0, b: 1, ab: 2, '<s>': 3 },
    merges: [['a', 'b']],
  },
});
const UNIGRAM = JSON.stringify({
  version: '1.0',
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  post_processor: null,
  decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  model: {
    type: 'Unigram',
    unk_id: 0,
    byte_fallback: false,
    vocab: [
      ['<unk>', 0],
      ['▁a', -1],
      ['b', -2],
      ['ab', -1.5],
    ],
  },
});
const ROWS = [
  '{"instruction":"a","input":"","output":"b"}\n{"instruction":"c","output":"d"}\n',
  '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n',
  '{"input_ids":[1,2,3],"labels":[-100,2,3]}\r\n',
  '[{"text":"a b"},\n {"text":"ab"}]',
  '\ufeff{"question":"a","answer":"b"}\n{"question":"\\ud83d\\ude00","answer":"b"}',
];
const TALK = [
  { role: 'user', content: 'a' },
  { role: 'assistant', content: 'b' },
];

/** @param fixtures folder of packages/checkpoint/fixtures  @param scratch a folder that may be written to */
export function readersOf({ fixtures, scratch }) {
  const files = (folder, ends) =>
    readdirSync(join(fixtures, folder), { recursive: true })
      .filter((name) => ends.some((end) => name.endsWith(end)))
      .map((name) => join(fixtures, folder, name))
      .filter((path) => statSync(path).size < LARGEST_SEED)
      .sort();
  const contents = (folder, ends) => files(folder, ends).map((path) => readFileSync(path));
  const folder = (name) => {
    const path = join(scratch, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const opened = async (path, use) => {
    const checkpoint = await openCheckpoint(path);
    try {
      use(checkpoint);
    } finally {
      checkpoint.dispose();
    }
  };
  const withTokenizerFile = async (name, bytes) => {
    const place = folder(name);
    writeFileSync(join(place, 'config.json'), '{"model_type":"llama"}');
    writeFileSync(join(place, name), bytes);
    await opened(place, ({ tokenizerFiles: { tokenizerJson } }) => {
      loadTokenizer({ tokenizerJson, tokenizerConfig: null, chatTemplate: null, specialTokens: {} }).encode(
        'ab <s> aab 12',
        { addSpecialTokens: true },
      );
    });
  };
  const small = () =>
    loadTokenizer({
      tokenizerJson: JSON.parse(TOKENIZER),
      tokenizerConfig: null,
      chatTemplate: '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}',
      specialTokens: {},
    });

  return {
    safetensors: {
      corpus: () => contents('.', ['.safetensors']),
      run: (bytes) => readAll(safetensorsOf(memoryByteSource(bytes)).tensors),
    },
    gguf: {
      corpus: () => contents('.', ['.gguf']),
      async run(bytes) {
        readGguf(memoryByteSource(bytes));
        const path = join(folder('gguf'), 'x.gguf');
        writeFileSync(path, bytes);
        await opened(path, (checkpoint) => {
          readAll(checkpoint.tensors);
          void checkpoint.tokenizerFiles.tokenizerJson;
          void checkpoint.generation;
        });
      },
    },
    config: {
      isText: true,
      corpus: () => contents('models', ['config.json', 'config.legacy.json']),
      async run(bytes) {
        const place = folder('model');
        writeFileSync(join(place, 'config.json'), bytes);
        await opened(place, ({ config, generation }) =>
          familyOf(config.modelType, 'x').readConfig(
            hfConfigOf('config.json', { ...config.raw, generation }),
          ),
        );
      },
    },
    index: {
      isText: true,
      corpus: () => contents('models', ['index.json']),
      async run(bytes) {
        const place = folder('sharded');
        if (!existsSync(join(place, 'config.json'))) {
          // the shards stay as they are
          for (const path of files('models', ['-of-00005.safetensors']))
            copyFileSync(path, join(place, basename(path)));
          writeFileSync(join(place, 'config.json'), '{"model_type":"llama"}');
        }
        writeFileSync(join(place, 'model.safetensors.index.json'), bytes);
        await opened(place, ({ tensors }) => readAll(tensors));
      },
    },
    sentencepiece: {
      corpus: () => contents('sentencepiece', ['.model']),
      run: (bytes) => withTokenizerFile('tokenizer.model', bytes),
    },
    tokenizer: {
      isText: true,
      corpus: () => [TOKENIZER, UNIGRAM].map((text) => Buffer.from(text)),
      run: (bytes) => withTokenizerFile('tokenizer.json', bytes),
    },
    template: {
      isText: true,
      corpus: () => templatesOf(fixtures).map((text) => Buffer.from(text)),
      run: (bytes) =>
        void createChatTemplate(bytes.toString('utf8'), {
          variables: { bos_token: '<s>', eos_token: '</s>' },
        }).render(TALK, { addGenerationPrompt: true }),
    },
    rows: {
      isText: true,
      corpus: () => ROWS.map((text) => Buffer.from(text)),
      async run(bytes) {
        const path = join(folder('rows'), 'x.jsonl');
        writeFileSync(path, bytes);
        await loadDataset(path, { tokenizer: small(), maxSeqLength: 32 });
      },
    },
    adapter: {
      isText: true,
      corpus: () => contents('peft/adapters', ['adapter_config.json']),
      run(bytes, random) {
        const place = folder('adapter');
        const all = files('peft/adapters', ['adapter_model.safetensors']);
        const own = readFileSync(random ? random.pick(all) : all[0]);
        writeFileSync(join(place, 'adapter_config.json'), bytes);
        writeFileSync(
          join(place, 'adapter_model.safetensors'),
          random && random.below(2) === 0 ? mutated(own, random, [own], false) : own,
        );
        readPeftAdapter(place);
        const saved = openSavedWeights(place);
        try {
          readAll(saved.tensors);
        } finally {
          saved[Symbol.dispose]();
        }
      },
    },
  };
}

/** Templates of real models: those in the tokenizers' golden files. */
function templatesOf(fixtures) {
  const place = join(fixtures, '../../data/fixtures');
  const found = readdirSync(place)
    .filter((name) => name.endsWith('.expected.json'))
    .flatMap((name) => JSON.parse(readFileSync(join(place, name), 'utf8')).chat_template ?? []);
  const written = readdirSync(place)
    .filter((name) => name.endsWith('.tokenizer.json.gz'))
    .map((name) => JSON.parse(gunzipSync(readFileSync(join(place, name))).toString('utf8')).chat_template)
    .filter((text) => typeof text === 'string');
  const plain =
    "{%- if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}{% set ns = " +
    "namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ bos_token }}{{ m['role'] | upper " +
    '}}: {{ m.content | trim }}{{ eos_token }}\n{% generation %}x{% endgeneration %}{% endfor %}{% if ' +
    "add_generation_prompt %}{{ 'assistant' ~ ns.n }}{% endif %}{% macro f(x) %}{{ x[1:] }}{% endmacro %}{{ f('abc') }}";
  return [...found.filter((text) => typeof text === 'string'), ...written, plain];
}
