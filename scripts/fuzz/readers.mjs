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
import { ROWS, TALK, templatesOf, TOKENIZER, UNIGRAM } from './seeds.mjs';

/** Larger files make a fuzzer slow and say nothing more. */
const LARGEST_SEED = 300_000;

/**
 * Readers by name: `corpus()` gives the valid files, `run(bytes, random)` reads one input.
 * @param fixtures folder of packages/checkpoint/fixtures
 * @param scratch a folder that may be written to
 */
export function readersOf({ fixtures, scratch }) {
  const files = (folder, ends) =>
    readdirSync(join(fixtures, folder), { recursive: true })
      .filter((name) => ends.some((end) => name.endsWith(end)))
      .map((name) => join(fixtures, folder, name))
      .filter((path) => statSync(path).size < LARGEST_SEED)
      .sort();
  const place = {
    fixtures,
    files,
    contents: (folder, ends) => files(folder, ends).map((path) => readFileSync(path)),
    folder(name) {
      const path = join(scratch, name);
      mkdirSync(path, { recursive: true });
      return path;
    },
  };
  return {
    ...weightReaders(place),
    ...folderReaders(place),
    ...tokenizerReaders(place),
    ...dataReaders(place),
    adapter: adapterReader(place),
  };
}

/** Opens a checkpoint, and disposes it whatever `use` throws. */
async function opened(path, use) {
  const checkpoint = await openCheckpoint(path);
  try {
    use(checkpoint);
  } finally {
    checkpoint.dispose();
  }
}

function readAll(tensors) {
  for (const entry of tensors.values()) {
    try {
      entry.readFloat32();
    } catch (error) {
      if (error.code !== 'UNSUPPORTED') throw error;
    }
  }
}

const weightReaders = ({ contents, folder }) => ({
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
});

/** Files of a Hugging Face folder that say how to read the others. */
const folderReaders = ({ contents, files, folder }) => ({
  config: {
    isText: true,
    corpus: () => contents('models', ['config.json', 'config.legacy.json']),
    async run(bytes) {
      const model = folder('model');
      writeFileSync(join(model, 'config.json'), bytes);
      await opened(model, ({ config, generation }) =>
        familyOf(config.modelType, 'x').readConfig(hfConfigOf('config.json', { ...config.raw, generation })),
      );
    },
  },
  index: {
    isText: true,
    corpus: () => contents('models', ['index.json']),
    async run(bytes) {
      const model = folder('sharded');
      if (!existsSync(join(model, 'config.json'))) {
        // the shards stay as they are
        for (const path of files('models', ['-of-00005.safetensors']))
          copyFileSync(path, join(model, basename(path)));
        writeFileSync(join(model, 'config.json'), '{"model_type":"llama"}');
      }
      writeFileSync(join(model, 'model.safetensors.index.json'), bytes);
      await opened(model, ({ tensors }) => readAll(tensors));
    },
  },
});

function tokenizerReaders({ contents, folder }) {
  const withTokenizerFile = async (name, bytes) => {
    const model = folder(name);
    writeFileSync(join(model, 'config.json'), '{"model_type":"llama"}');
    writeFileSync(join(model, name), bytes);
    await opened(model, ({ tokenizerFiles: { tokenizerJson } }) => {
      const files = { tokenizerJson, tokenizerConfig: null, chatTemplate: null, specialTokens: {} };
      loadTokenizer(files).encode('ab <s> aab 12', { addSpecialTokens: true });
    });
  };
  return {
    sentencepiece: {
      corpus: () => contents('sentencepiece', ['.model']),
      run: (bytes) => withTokenizerFile('tokenizer.model', bytes),
    },
    tokenizer: {
      isText: true,
      corpus: () => [TOKENIZER, UNIGRAM].map((text) => Buffer.from(text)),
      run: (bytes) => withTokenizerFile('tokenizer.json', bytes),
    },
  };
}

const dataReaders = ({ fixtures, folder }) => ({
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
      const tokenizer = loadTokenizer({
        tokenizerJson: JSON.parse(TOKENIZER),
        tokenizerConfig: null,
        chatTemplate: '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}',
        specialTokens: {},
      });
      await loadDataset(path, { tokenizer, maxSeqLength: 32 });
    },
  },
});

const adapterReader = ({ contents, files, folder }) => ({
  isText: true,
  corpus: () => contents('peft/adapters', ['adapter_config.json']),
  run(bytes, random) {
    const adapter = folder('adapter');
    const weightFiles = files('peft/adapters', ['adapter_model.safetensors']);
    const weights = readFileSync(random ? random.pick(weightFiles) : weightFiles[0]);
    const isHostile = random && random.below(2) === 0;
    writeFileSync(join(adapter, 'adapter_config.json'), bytes);
    writeFileSync(
      join(adapter, 'adapter_model.safetensors'),
      isHostile ? mutated(weights, random, [weights], false) : weights,
    );
    readPeftAdapter(adapter);
    const saved = openSavedWeights(adapter);
    try {
      readAll(saved.tensors);
    } finally {
      saved[Symbol.dispose]();
    }
  },
});
