"""Folders as people have them, and the ids that transformers gives for their texts.

    python packages/testing/makers/make_tokenizer_folders.py packages/qdylora/fixtures/tokenizer-folders/expected.json

A tokenizer of bytes (320 tokens) is trained on a few lines; each case is a list of files. Versions stand in the result.
"""
import json, os, sys, tempfile

os.environ['HF_HUB_OFFLINE'] = '1'
import tokenizers, transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

LINES = ['Hello world, hello again: it\'s 2026 and they\'ll say hello 12345 times.', 'Naïve café — déjà vu; don\'t panic!\n\nThe quick brown fox jumps over the lazy dog.', '<|x|> [PAD] <s> </s> def f(x):\n    return x + 1'] * 4
TEXTS = ['Hello world', ' Hello', '  two  spaces ', 'a<|x|>b [PAD]<|endoftext|>c', 'don\'t THEY\'LL 12345', 'cafe\u0301 \u212b', 'Hello<|y|> world', '<|image|>', 'x\n\n y', '']


def train(splits_words):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=splits_words)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=320, special_tokens=['<|endoftext|>'], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    return tokenizer


def marked():
    """SentencePiece's way: the space before a word is part of it."""
    tokenizer = Tokenizer(models.BPE(unk_token='<unk>', byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')])
    tokenizer.decoder = decoders.Sequence([decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(' ', 1, 0)])
    tokenizer.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=420, special_tokens=['<unk>', '<s>', '</s>', *[f'<0x{i:02X}>' for i in range(256)]], show_progress=False))
    saved = json.loads(tokenizer.to_str())
    saved['added_tokens'] = [token for token in saved['added_tokens'] if not token['content'].startswith('<0x')]
    return json.dumps(saved, ensure_ascii=False)


def cases():
    words = train(True)
    saved, model = words.to_str(), json.loads(words.to_str())['model']
    vocab, merges = json.dumps(model['vocab'], ensure_ascii=False), '#version: 0.2\n' + ''.join(f'{" ".join(pair) if isinstance(pair, list) else pair}\n' for pair in model['merges'])
    config = lambda **keys: json.dumps(keys)
    pair = {'vocab.json': vocab, 'merges.txt': merges}
    bare = json.loads(saved); bare['added_tokens'] = []
    for name in ('GPT2Tokenizer', 'GPT2TokenizerFast', 'GPTNeoXTokenizerFast', 'Qwen2Tokenizer'):
        for wanted in (True, False):
            yield f'vocabulary and merges, {name}, add_prefix_space {wanted}', {**pair, 'tokenizer_config.json': config(tokenizer_class=name, add_prefix_space=wanted)}
    for kind in ('gpt2', 'qwen2', 'qwen3', 'gpt_neox'):
        yield f'vocabulary and merges of a {kind} model, nothing else', {**pair, 'config.json': config(model_type=kind)}
    yield 'vocabulary and merges, a begin token', {**pair, 'tokenizer_config.json': config(tokenizer_class='GPT2Tokenizer', add_bos_token=True)}
    yield 'vocabulary and merges, tokens in the older files', {**pair, 'config.json': config(model_type='gpt2'), 'special_tokens_map.json': config(pad_token='[PAD]', additional_special_tokens=['<|x|>']), 'added_tokens.json': config(**{'[PAD]': 320, '<|x|>': 321})}
    yield 'tokenizer.json, GPT2Tokenizer with a prefix space', {'tokenizer.json': saved, 'tokenizer_config.json': config(tokenizer_class='GPT2Tokenizer', add_prefix_space=True)}
    yield 'tokenizer.json, a class that does not heed the prefix space', {'tokenizer.json': saved, 'tokenizer_config.json': config(tokenizer_class='PreTrainedTokenizerFast', add_prefix_space=True)}
    yield 'tokenizer.json, LlamaTokenizer without a prefix space', {'tokenizer.json': marked(), 'tokenizer_config.json': config(tokenizer_class='LlamaTokenizer', add_prefix_space=False, bos_token='<s>', eos_token='</s>', unk_token='<unk>')}
    plain = dict(tokenizer_class='PreTrainedTokenizerFast')
    yield 'additional special tokens that no vocabulary has', {'tokenizer.json': saved, 'tokenizer_config.json': config(**plain, pad_token='[PAD]', additional_special_tokens=['<|endoftext|>', '<|x|>', '<|y|>'])}
    yield 'additional special tokens as records, a token of the model\'s own', {'tokenizer.json': saved, 'tokenizer_config.json': config(**plain, image_token='<|image|>', extra_special_tokens=[{'content': '<|x|>', 'lstrip': False, 'rstrip': False, 'normalized': False, 'single_word': False, '__type': 'AddedToken'}, '<|y|>'])}
    yield 'additional special tokens by name', {'tokenizer.json': saved, 'tokenizer_config.json': config(**plain, extra_special_tokens={'x_token': '<|x|>', 'image_token': '<|image|>'})}
    yield 'additional special tokens in special_tokens_map.json', {'tokenizer.json': saved, 'tokenizer_config.json': config(**plain), 'special_tokens_map.json': config(pad_token='[PAD]', additional_special_tokens=['<|x|>'])}
    yield 'a special token that the vocabulary has and added_tokens lacks', {'tokenizer.json': json.dumps(bare, ensure_ascii=False), 'tokenizer_config.json': config(**plain, eos_token='<|endoftext|>')}


def expected(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            with open(os.path.join(folder, name), 'w', encoding='utf-8') as file: file.write(text)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        return {'ids': [tokenizer.encode(text, add_special_tokens=False) for text in TEXTS], 'with_special': [tokenizer.encode(text) for text in TEXTS[:2]], 'decoded': [tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) for text in TEXTS], 'bos': tokenizer.bos_token, 'eos': tokenizer.eos_token}


if __name__ == '__main__':
    made = {name: (files, expected(files)) for name, files in cases()}
    texts = sorted({text for files, _ in made.values() for text in files.values() if len(text) > 200})  # large files stand once
    result = {'made_by': os.path.basename(__file__), 'transformers': transformers.__version__, 'tokenizers': tokenizers.__version__, 'texts': TEXTS, 'files': texts, 'cases': {name: {'files': {file: texts.index(text) if text in texts else text for file, text in files.items()}, **values} for name, (files, values) in made.items()}}
    os.makedirs(os.path.dirname(os.path.abspath(sys.argv[1])), exist_ok=True)
    with open(sys.argv[1], 'w', encoding='utf-8') as file: json.dump(result, file, ensure_ascii=False, separators=(',', ':')); file.write('\n')
