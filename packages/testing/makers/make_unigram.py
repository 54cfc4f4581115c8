"""A small Unigram tokenizer (SentencePiece's other kind), trained on a text, and what the tokenizers library makes of the texts of another expected file.

Training goes through hash maps in an order of its own, so another run gives another vocabulary: the files here are what one run gave.

    python make_unigram.py --text input.txt --texts smollm2.expected.json --out FIXTURES     # tokenizers 0.23.3; the first 300,000 characters
"""
import argparse
import gzip
import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

arguments = argparse.ArgumentParser()
for name in ("--text", "--texts", "--out"):
    arguments.add_argument(name, required=True, type=Path)
given = arguments.parse_args()

tokenizer = Tokenizer(models.Unigram())
tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC()])
tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
lines = given.text.read_text(encoding="utf-8")[:300_000].split("\n")
trainer = trainers.UnigramTrainer(vocab_size=1000, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False)
tokenizer.train_from_iterator(lines, trainer)
(given.out / "tiny-unigram.tokenizer.json.gz").write_bytes(gzip.compress(tokenizer.to_str().encode(), mtime=0))

texts = []
for case in json.loads(given.texts.read_text(encoding="utf-8"))["texts"]:
    ids = tokenizer.encode(case["text"], add_special_tokens=False).ids
    texts.append({
        "text": case["text"], "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False),
        "decoded_without_special_tokens": tokenizer.decode(ids, skip_special_tokens=True),
    })
(given.out / "tiny-unigram.expected.json").write_text(json.dumps({"texts": texts, "chats": {}}, ensure_ascii=True) + "\n")
