"""What Python makes of texts and numbers that tasks are built from: random draws, expressions, literals, BLEU, ROUGE.

    python make_harness_parts.py --out DIR
"""

import argparse
import ast
import hashlib
import json
import random
import re
from pathlib import Path

import sacrebleu
from lm_eval.api.metrics import pooled_sample_stderr, unweighted_mean_stderr
from manifest_files import versions, write_json
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

PATTERNS = [
    r"#### (\-?[0-9\.\,]+)", r"(-?[$0-9.,]{2,})|(-?[0-9]+)", r"The answer is (\-?[0-9\.\,]+).", r"(?s).*#### ", r"\.$", r"\$", ",",
    r"\bb\b", r"\w+", r"\s+", r"[\w\-]+", r"[^\s\d]", r"\d{,2}x", r"a{1,2}?", r"{x}|]", r"(?i)É|ß", r"(?m)^\w|\w$", r"\A.|.\Z", r"(?P<n>a)(?P=n)",
    r"\(.*?\)", r"[]\[]", r"\#\'\"\ ", r"(a|(b))(c)?", r"é\u00e9|\x41", r"x*",
    r"([0-9]*)$", r"^", r"(?m)$", r"(?!\U0001f600)x*",
]
TEXTS = [
    "#### 1,234.5\n#### -7.", "costs $12.50, no 9", "The answer is 18. The answer is 2", "a\n#### b", "end.", "end.\n", "b ab b-b b", "東京 café ½ ٣ _x",
    "a\x1cb\x85c\u00a0d\ufeffe\u2028f", "aaa aa a", "{x} ]", "É é ß SS", "one\r\ntwo\n", "aa aA", "(a) (b(c))", "[]", "#'\" ", "ac bc b", "éé A", "", "12x 123x x", "\U0001f600 42", "\U0001f600",
]
LITERALS = [
    "[]", "['a', 'b']", '["it\'s", "\\"q\\"", \'\\\\\', \'\\n\\t\\x00\\u6771\\U0001f600\']', "[1, -2, 0, 2.5, 1e-07, 3e+20, .5, 1.]", "(1,)", "(1)", "()", "{'a': [None, True, False]}",
    "[ 'a' 'b' , ]", "['\\101\\0']", "'\\q'", "  [1]  ",
]
NO_LITERALS = ["[a]", "[1", "[1 2]", "['a\n']", "a", "[01]", "[1,,2]", "", "{1: 2", "[\"a']"]
PAIRS = [
    ("The cat sat on the mat.", "The cat sat on the mat."), ("The cat is on the mat, isn't it?", "There is a cat on the mat."), ("", "A reference."),
    ("Cost: $1,000.50 (approx.) – well-known 3-4", "Costs $1,000.50, approx. – a well-known 3-5!"), ("a &quot;b&quot; &amp; c<skipped>", "a \"b\" & c"),
    ("line one-\ntwo\nthree", "line onetwo three four five"), ("東京 café", "東京 café naïve"), ("the the the the", "the cat"), ("one", "two"),
]


def draws():
    cases = []
    for seed, size, count in [(1234, 7473, 5), (1234, 60, 25), (0, 5, 5), (1, 1119, 25), (7, 21, 3), (7, 22, 3), (4294967295, 100, 6), (1234, 3, 0)]:
        rnd = random.Random(seed)
        cases.append({"seed": seed, "size": size, "count": count, "samples": [rnd.sample(range(size), count) for _ in range(3)],
                      "random": [rnd.random() for _ in range(3)], "choices": rnd.choices(range(size), k=7)})
    rnd = random.Random(1234)
    digest = hashlib.sha256()
    for _ in range(1319):
        digest.update(",".join(map(str, rnd.sample(range(7473), 5))).encode())
    return {"cases": cases, "gsm8k_sha256": digest.hexdigest()}


def applied(pattern):
    """What `findall` and `sub` make of the texts."""
    return {"pattern": pattern, "texts": [{"text": t, "found": [list(f) if isinstance(f, tuple) else f for f in re.findall(pattern, t)],
                                           "cut": re.sub(pattern, "", t)} for t in TEXTS]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    tokens = Tokenizer13a()
    hypotheses, references = [p for p, _ in PAIRS], [r for _, r in PAIRS]
    sets = [hypotheses[:n] for n in (1, 2, 4, 9)] + [hypotheses[i:i + 1] for i in range(9)]
    ends = [references[:n] for n in (1, 2, 4, 9)] + [references[i:i + 1] for i in range(9)]
    write_json(out / "parts.expected.json", {
        "maker": "makers/make_harness_parts.py",
        "versions": versions("lm_eval", "sacrebleu", "rouge_score"),
        "random": draws(),
        "regexes": [applied(p) for p in PATTERNS],
        "literals": [{"text": t, "repr": repr(ast.literal_eval(t.strip()))} for t in LITERALS],
        "no_literals": NO_LITERALS,
        "capitalized": [[t, t.capitalize()] for t in ["", "ßtraße", "ÉLAN", "ǆ Ǆ", "ŉ", "ﬁSH", "😀A", "ΣΑΣ", "iI"]],
        "tokens": [[t, tokens(t.rstrip()).split()] for t in hypotheses + references],
        "bleu": [{"predictions": h, "references": r, "sacrebleu": sacrebleu.corpus_bleu(h, [r]).score,
                  "unsmoothed": sacrebleu.corpus_bleu(h, [r], smooth_method="none").score}
                 for h, r in zip(sets, ends)],
        "rouge": [{"prediction": h, "reference": r, **{k: v.fmeasure for k, v in scorer.score(r, h).items()}} for h, r in PAIRS],
        "groups": {"errors": [0.1, 0.05, 0.2], "sizes": [12, 40, 7], "pooled": float(pooled_sample_stderr([0.1, 0.05, 0.2], [12, 40, 7])),
                   "unweighted": float(unweighted_mean_stderr([0.1, 0.05, 0.2]))},
    })


if __name__ == "__main__":
    main()
