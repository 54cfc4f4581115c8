"""Tiny SentencePiece models as Llama 2's was trained, and the ids that SentencePiece gives. Run in the folder of the fixtures: python make_sentencepiece.py corpus.txt

A model that is in the folder already is not trained again, because the corpus has changed since."""
import io, json, os, sys
import sentencepiece as spm

TEXTS = ['', 'Hello world', ' leading and trailing ', 'two  spaces   three', 'line\nbreak\n\n\ttab', 'Käse, naïve café', '東京 Привет 🙂', '1234567 89.5%', 'aaaaaaaaaaaaaaaaaaaaaaaa', 'x' * 300, 'mixed: fn(a, b) => { return `${a}`; }', '\u0000\u00a0\u200b', 'e\u0301 \ufb01', '    deep', 'a    b', 'a     b', 'a       b  c', '  x']
USER_DEFINED = ['▁▁', '▁▁▁▁']
KINDS = {
    'bpe': dict(model_type='bpe', vocab_size=700, byte_fallback=True, normalization_rule_name='identity', remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True),
    'unigram': dict(model_type='unigram', vocab_size=400, normalization_rule_name='identity'),
    'bpe-no-prefix': dict(model_type='bpe', vocab_size=500, byte_fallback=True, normalization_rule_name='identity', remove_extra_whitespaces=False, add_dummy_prefix=False, pad_id=3),
    'unigram-bytes': dict(model_type='unigram', vocab_size=400, byte_fallback=True, normalization_rule_name='identity'),
    'bpe-user-defined': dict(model_type='bpe', vocab_size=400, byte_fallback=True, normalization_rule_name='identity', remove_extra_whitespaces=False, user_defined_symbols=USER_DEFINED),
    'bpe-user-defined-no-prefix': dict(model_type='bpe', vocab_size=400, byte_fallback=True, normalization_rule_name='identity', remove_extra_whitespaces=False, add_dummy_prefix=False, user_defined_symbols=USER_DEFINED),
}
cases = {}
for name, options in KINDS.items():
    if not os.path.exists(f'{name}.model'):
        model = io.BytesIO()
        spm.SentencePieceTrainer.train(sentence_iterator=iter(open(sys.argv[1], encoding='utf-8')), model_writer=model, num_threads=1, minloglevel=2, **options)
        open(f'{name}.model', 'wb').write(model.getvalue())
    processor = spm.SentencePieceProcessor(model_file=f'{name}.model')
    cases[name] = dict(bos=processor.bos_id(), eos=processor.eos_id(), ids=[processor.encode(text) for text in TEXTS])
json.dump(dict(sentencepiece=spm.__version__, texts=TEXTS, cases=cases), open('expected.json', 'w'), ensure_ascii=True)
