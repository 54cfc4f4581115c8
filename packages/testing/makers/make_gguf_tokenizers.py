"""Vocabularies in GGUF files, and what llama.cpp makes of texts with them.

    python make_gguf_tokenizers.py --texts ../../data/fixtures/smollm2.expected.json --corpus input.txt --llama-cpp FOLDER --out gguf-tokenizers.json

One byte-level BPE whose merges cross words, numbers and lines (trained without any splitting, so that every difference in how a text is split shows in the ids), under every name of
`tokenizer.ggml.pre` that is known; a SentencePiece BPE and a SentencePiece Unigram. FOLDER: where `npm install node-llama-cpp@3.22.1` was run. Deterministic for the same versions.
"""
import argparse, json, os, subprocess, tempfile
import gguf, sentencepiece, tokenizers

PRE = ['gpt-2', 'phi-2', 'mpt', 'jais', 'olmo', 'smollm', 'starcoder', 'refact', 'llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'pixtral', 'smaug-bpe', 'dbrx', 'qwen2', 'deepseek-r1-qwen', 'megrez', 'tekken', 'gpt-4o', 'llama4', 'deepseek-coder', 'falcon']
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
BPE_TOKENS, PIECES = 1200, 600

NODE = """
import { readFileSync, writeFileSync } from 'node:fs';
import { getLlama, LlamaLogLevel } from '%s/node_modules/node-llama-cpp/dist/index.js';
const { files, texts } = JSON.parse(readFileSync(process.argv[2], 'utf8')), llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.disabled });
const ids = {};
for (const [name, path] of Object.entries(files)) {
  const model = await llama.loadModel({ modelPath: path, vocabOnly: true });
  ids[name] = texts.map((text) => model.tokenize(text, false));
  await model.dispose();
}
writeFileSync(process.argv[3], JSON.stringify({ llama: llama.llamaCppRelease.release, ids }));
process.exit(0);
"""


def byte_level(corpus):
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=BPE_TOKENS, initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), show_progress=False, max_token_length=12)
    trained.train_from_iterator(corpus, trainer)
    model = json.loads(trained.to_str())['model']
    tokens = [token for token, _ in sorted(model['vocab'].items(), key=lambda item: item[1])]
    return {'tokens': tokens, 'merges': [' '.join(merge) for merge in model['merges']]}


def in_python(bpe, texts):
    """Ids by Hugging Face's tokenizers, split as the tokenizer.json of the first model of each kind says, where llama.cpp only comes near: it knows no marks in o200k's and Tekken's words, splits Falcon's text before
    it is bytes, and leaves NFC out."""
    from tokenizers import Regex, normalizers, pre_tokenizers as pre
    word = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+%s|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*%s|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    qwen = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    level, split = lambda regex: pre.ByteLevel(add_prefix_space=False, use_regex=regex), lambda regex: pre.Split(Regex(regex), 'isolated')
    kinds = {'tekken': (None, [split(word % ('', '', '')), level(False)], True), 'gpt-4o': (None, [split(word % (contraction, contraction, '{1,3}')), level(False)], False), 'qwen2': (normalizers.NFC(), [split(qwen), level(False)], False),
             'olmo': (normalizers.NFC(), [level(True)], False), 'falcon': (None, [pre.Punctuation('contiguous'), level(True), pre.Digits(False), split('[0-9][0-9][0-9]')], False)}
    ids = {}
    for name, (normalizer, parts, ignore_merges) in kinds.items():
        own = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={token: i for i, token in enumerate(bpe['tokens'])}, merges=[tuple(merge.split(' ', 1)) for merge in bpe['merges']], ignore_merges=ignore_merges))
        if normalizer: own.normalizer = normalizer
        own.pre_tokenizer = pre.Sequence(parts)
        ids[name] = [own.encode(text, add_special_tokens=False).ids for text in texts]
    return ids


def sentence_piece(corpus, kind, folder):
    path = os.path.join(folder, kind)
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(corpus), model_prefix=path, model_type=kind, vocab_size=PIECES, byte_fallback=kind == 'bpe', normalization_rule_name='identity', remove_extra_whitespaces=kind == 'unigram',
                                             split_digits=kind == 'bpe', character_coverage=0.9995 if kind == 'unigram' else 0.999, num_threads=1, minloglevel=2, bos_id=1, eos_id=2, unk_id=0)
    processor = sentencepiece.SentencePieceProcessor(model_file=path + '.model')
    ids = range(processor.vocab_size())
    kind_of = lambda i: UNKNOWN if processor.is_unknown(i) else CONTROL if processor.is_control(i) else BYTE if processor.is_byte(i) else NORMAL
    return {'tokens': [processor.id_to_piece(i) for i in ids], 'scores': [processor.get_score(i) for i in ids], 'types': [kind_of(i) for i in ids]}, processor


def write(path, model, vocabulary, pre=None, **flags):
    writer = gguf.GGUFWriter(path, 'llama')
    for add, value in [(writer.add_context_length, 64), (writer.add_embedding_length, 32), (writer.add_block_count, 1), (writer.add_feed_forward_length, 32), (writer.add_head_count, 4), (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_vocab_size, len(vocabulary['tokens']))]:
        add(value)
    writer.add_tokenizer_model(model)
    if pre: writer.add_tokenizer_pre(pre)
    writer.add_token_list(vocabulary['tokens'])
    if 'merges' in vocabulary: writer.add_token_merges(vocabulary['merges'])
    if 'scores' in vocabulary: writer.add_token_scores(vocabulary['scores'])
    writer.add_token_types(vocabulary.get('types') or [NORMAL] * len(vocabulary['tokens']))
    if 'types' in vocabulary: writer.add_unk_token_id(0); writer.add_bos_token_id(1); writer.add_eos_token_id(2)
    for key, value in flags.items(): writer.add_bool(f'tokenizer.ggml.{key}', value)
    writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.close()


def main():
    parser = argparse.ArgumentParser()
    for name in ['texts', 'corpus', 'llama-cpp', 'out']: parser.add_argument('--' + name, required=True)
    args = parser.parse_args()
    texts = [case['text'] for case in json.load(open(args.texts))['texts']]
    texts += ['It cost 1234567 (or 12,345.67) euros in 2024.', 'HTTPServer parseURL getX camelCaseWORD aBC', "I'LL we'Ve don't DON'T 'quoted'", 'a/b//c\n\n\n/d', 'über ÜBER Ünï ÿ Ñandú ñ Ω ΑΒΓ αβγ Привет МИР', 'x = [1, 2];\tif(a&&b){return "c";}\r\n\r\n  # done  ', '日本語 中文字 한국어 ก็ हिन्दी']
    corpus = open(args.corpus).read()[:200_000].split('\n\n') + texts * 4 + texts[-7:] * 60
    with tempfile.TemporaryDirectory() as folder:
        bpe, (spm, _), (unigram, processor) = byte_level(corpus), sentence_piece(corpus, 'bpe', folder), sentence_piece(corpus, 'unigram', folder)
        files = {}
        for pre in PRE:
            files[pre] = os.path.join(folder, pre + '.gguf')
            write(files[pre], 'gpt2', bpe, pre)
        files['spm'], files['unigram'] = os.path.join(folder, 'spm.gguf'), os.path.join(folder, 'unigram.gguf')
        write(files['spm'], 'llama', spm)
        write(files['unigram'], 't5', unigram, add_space_prefix=True, remove_extra_whitespaces=True)
        task, script = os.path.join(folder, 'task.json'), os.path.join(folder, 'ids.mjs')
        json.dump({'files': files, 'texts': texts}, open(task, 'w'))
        open(script, 'w').write(NODE % os.path.abspath(args.llama_cpp))
        answer = os.path.join(folder, 'answer.json')
        subprocess.run(['node', script, task, answer], check=True)
        result = json.load(open(answer))
    versions = {'llama.cpp': result['llama'], 'node-llama-cpp': '3.22.1', 'gguf': '0.19.0', 'tokenizers': tokenizers.__version__, 'sentencepiece': sentencepiece.__version__}
    made = {'versions': versions, 'texts': texts, 'vocabularies': {'bpe': bpe, 'spm': spm, 'unigram': unigram}, 'ids': result['ids'], 'tokenizers': in_python(bpe, texts), 'sentencepiece': {'unigram': [processor.encode(text) for text in texts]}}
    with open(args.out, 'w') as out: json.dump(made, out, ensure_ascii=False, separators=(',', ':'))
    print({name: sum(map(len, ids)) for name, ids in result['ids'].items()})


if __name__ == '__main__':
    main()
