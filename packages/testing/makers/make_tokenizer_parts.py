"""Small tokenizers, each with another part, and what tokenizers 0.23.3 makes of texts: python make_tokenizer_parts.py OUT.json.gz

Training WordPiece and Unigram goes through hash maps in an order of its own, so a tokenizer that OUT already has is not trained again. The rest is deterministic on this corpus."""
import base64
import gzip
import json
import os
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = ["the quick brown fox jumps over the lazy dog", "It's 1234.5 km² — don't!", "naïve café, Grüße und Äpfel", "foo_bar-baz/qux 12 123", "hello hello world world the the a b c"] * 4
TEXTS = ["Hello world", "  leading and trailing  ", "It's 1234.5 km² — don't!", "naïve café ½ ﬁ", "日本語 🙂", "tabs\t\tand\nlines\r\n", "foo_bar-baz/qux--x", "a\u0085b\u00a0c\u200bd", "e\u0301 combining", "", "   ", "the <left> x<right> y", "aeiou 12 123", "<s>the</s>", "ΣΑΣ Σ", "日 本語 x 日", "say Hello and_Hello", "a🙂the"]
ADDED = [AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True)]
SPECIAL = ["<unk>", "<s>", "</s>"]
P, D = pre_tokenizers, decoders
# made by sentencepiece 0.2.3 with a normalization_rule_tsv of nine rules: ﬁ fi, ½ 1/2, ² 2, e and U+0301 é, 日 月, Σ S; a space for U+0009, U+0085 and U+00A0
CHARSMAP = base64.b64decode("AAQAAAAgAAAJDQAAAAAAgMwYAgCBBQAADQAAgIURAAAGAACAowkAAAIAAIAIAACAl4gCAKUFAAAQAACArAACAIF9AAAKAACAEAAAABMAAAASAAAAFQAAABQAAAAXAAAAFgAAABkAAAAYAAAAGwAAABoAAAAdAAAAHAAAAB8AAAAeAAAAIQAAACAAAAAjAAAAoIUAACUAAAAkAAAAJwAAACYAAAApAAAAKAAAACsAAAAqAAAALQAAACwAAAAvAAAALgAAADEAAACy2QAAMwAAADIAAAA1AAAANAAAADcAAAA2AAAAOQAAADgAAAA7AAAAOgAAAD0AAAA8AAAAvd0AAD4AAABBAAAAQAAAAEMAAABCAAAARQAAAEQAAABHAAAARgAAAEkAAABIAAAASwAAAEoAAABNAAAATAAAAE8AAABOAAAAUQAAAFAAAABTAAAAUgAAAFUAAABUAAAAVwAAAFYAAABZAAAAWAAAAFsAAABaAAAAXQAAAFwAAABfAAAAXgAAAGEAAABgAAAAYwAAAGIAAABlAAAAZAAAAGcAAABmAAAAaQAAAGgAAABrAAAAagAAAG0AAABliAIAbwAAAG4AAABxAAAAcAAAAHMAAAByAAAAdQAAAHQAAAB3AAAAdgAAAHkAAAB4AAAAewAAAHoAAAB9AAAAfAAAAH8AAAB+AAAAgQAAAIAAAACDAAAAggAAAIUAAACEAAAAhwAAAIYAAACJAAAAiAAAAIsAAACKAAAAjQAAAIwAAACPAAAAjgAAAJEAAACQAAAAkwAAAJIAAACVAAAAlAAAAJcAAACWAAAAmQAAAJgAAACbAAAAmgAAAJ0AAACcAAAAnwAAAJ4AAAChAAAAoAAAAKMAAACiAAAApQAAAKQAAACnAAAApgAAAKkAAACoAAAAqwAAAKoAAACtAAAArAAAAK8AAACuAAAAsQAAALAAAACzAAAAsgAAALUAAAC0AAAAtwAAALYAAAC5AAAAuAAAALsAAAC6AAAAvQAAALwAAAC/AAAAvgAAAMEAAADAAAAAwwAAAMIAAADFAAAAxAAAAM60AQDGAAAAyQAAAMgAAADCJAEAygAAAM0AAADMAAAAzwAAAM4AAADRAAAA0AAAANMAAADSAAAA1QAAANQAAADXAAAA1gAAANkAAADYAAAA2wAAANoAAADdAAAA3AAAAN8AAADeAAAA4QAAAOAAAADjAAAA4gAAAOUAAADkAAAA5wAAAO8UAQDpAAAA6AAAAOsAAADqAAAA7QAAAOwAAADmyAEA7gAAAPEAAADwAAAA8wAAAPIAAAD1AAAA9AAAAPcAAAD2AAAA+QAAAPgAAAD7AAAA+gAAAP0AAAD8AAAA/wAAAP4AAAAgADEvMgAyAFMAZmkAw6kA5pyIAA==")
PRE_TOKENIZERS = {
    "Whitespace": P.Whitespace(), "WhitespaceSplit": P.WhitespaceSplit(), "BertPreTokenizer": P.BertPreTokenizer(), "Punctuation": P.Punctuation(),
    "Punctuation, merged with previous": P.Punctuation("merged_with_previous"), "Punctuation, merged with next": P.Punctuation("merged_with_next"), "Punctuation, contiguous": P.Punctuation("contiguous"), "Punctuation, removed": P.Punctuation("removed"),
    "Split at vowels": P.Split(Regex("[aeiou]"), "isolated"), "Split, merged with previous": P.Split(Regex(" "), "merged_with_previous"), "Split at text, merged with previous": P.Split(" ", "merged_with_previous"),
    "Split at text, merged with next": P.Split(" ", "merged_with_next"), "Split at two characters, merged with next": P.Split("12", "merged_with_next"), "Split, contiguous": P.Split(Regex("\\d"), "contiguous"), "Split, what does not match": P.Split(Regex("\\w+|[^\\w\\s]+"), "removed", invert=True),
    "Split at text, removed": P.Split(" ", "removed"), "Split at groups, removed": P.Split(Regex("(l)(l)|(o)"), "removed"),
    **{f"Split, inverted, {behavior.replace('_', ' ')}": P.Split(Regex("[a-e]"), behavior, invert=True) for behavior in ("isolated", "merged_with_previous", "merged_with_next", "contiguous")},
    "Digits": P.Sequence([P.Digits(individual_digits=True), P.ByteLevel(add_prefix_space=False)]), "Metaspace": P.Metaspace(), "Metaspace, first": P.Metaspace(prepend_scheme="first"), "Metaspace, never": P.Metaspace(prepend_scheme="never"), "Metaspace, whole": P.Metaspace(split=False), "FixedLength": P.FixedLength(3),
}


def trained(model, trainer, pre_tokenizer, decoder=None, normalizer=None):
    tokenizer = Tokenizer(model)
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    if decoder:
        tokenizer.decoder = decoder
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens(ADDED)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return tokenizer


def bpe(pre_tokenizer, decoder=None, fuse_unk=False, **more):
    return trained(models.BPE(unk_token="<unk>", fuse_unk=fuse_unk), trainers.BpeTrainer(vocab_size=120, special_tokens=SPECIAL, show_progress=False), pre_tokenizer, decoder, **more)


def unigram_of_bytes(missing=()):
    """Unigram with byte fallback over a few words and letters, without the bytes of `missing`."""
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("▁", -2.0), ("▁the", -3.0), ("Hello", -4.0)] + [(letter, -5.0 - i / 64) for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz")]
    tokenizer = Tokenizer(models.Unigram(pieces + [(f"<0x{byte:02X}>", -20.0) for byte in range(256) if byte not in missing], unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer, tokenizer.decoder = P.Metaspace(split=False), D.Sequence([D.ByteFallback(), D.Metaspace()])
    return tokenizer


def decoder_for(name):
    if name.startswith("Metaspace"):
        return D.Metaspace(prepend_scheme="never" if "never" in name else "always", split="whole" not in name)
    return D.ByteLevel() if name == "Digits" else None


def main(path):
    made = {name: bpe(part, decoder_for(name)) for name, part in PRE_TOKENIZERS.items()}
    made["WordPiece"] = trained(models.WordPiece(unk_token="<unk>"), trainers.WordPieceTrainer(vocab_size=150, special_tokens=SPECIAL, show_progress=False), P.BertPreTokenizer(), D.WordPiece(), normalizers.BertNormalizer())
    made["Unigram"] = trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=120, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False), P.Metaspace(), D.Metaspace())
    made["Unigram of words"] = trained(models.Unigram(), trainers.UnigramTrainer(vocab_size=120, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False), P.WhitespaceSplit())
    made["BPE that fuses unknown tokens"] = bpe(P.WhitespaceSplit(), fuse_unk=True)
    made["lower case"] = bpe(P.ByteLevel(add_prefix_space=False), D.ByteLevel(), normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]))
    made["added tokens in normalized text"] = bpe(None, D.Sequence([D.Replace("▁", " "), D.Fuse(), D.Strip(" ", 1, 0)]), normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]))
    for name in ("lower case", "added tokens in normalized text"):
        made[name].add_tokens([AddedToken("Hello", normalized=True)])
    made["Precompiled map of characters"] = bpe(P.Whitespace(), normalizer=normalizers.Precompiled(CHARSMAP))
    made["Unigram with byte fallback"] = unigram_of_bytes()
    made["Unigram with byte fallback, without some bytes"] = unigram_of_bytes(missing=(0xE6, 0x31))
    kept = json.loads(gzip.open(path).read())["cases"] if os.path.exists(path) else {}
    cases = {}
    for name, tokenizer in made.items():
        written = kept[name]["tokenizer"] if name in kept else json.loads(tokenizer.to_str())
        tokenizer = Tokenizer.from_str(json.dumps(written))
        rows = []
        for text in TEXTS:
            ids, whole = tokenizer.encode(text, add_special_tokens=False).ids, tokenizer.encode(text).ids
            rows.append({"text": text, "ids": ids, "ids_with_special_tokens": whole, "decoded": tokenizer.decode(whole, skip_special_tokens=False), "decoded_without_special_tokens": tokenizer.decode(whole)})
        cases[name] = {"tokenizer": written, "texts": rows}
    with open(path, "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as out:
        out.write(json.dumps({"tokenizers": tokenizers.__version__, "cases": cases}, ensure_ascii=True, indent=1).encode())


main(sys.argv[1])
