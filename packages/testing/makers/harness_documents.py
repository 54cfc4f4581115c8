"""Made documents of the shapes of the data sets, with the texts that a port may get wrong. No data set is copied."""

import random

WORDS = "red blue seven river stone bread Élan naïve 東京 café train plum ωmega don't 3.5 $20 1,024 [note] (x) Ⅷ 😀".split()


def text(rnd, least, most):
    return " ".join(rnd.choice(WORDS) for _ in range(rnd.randint(least, most)))


def gsm8k(rnd, count):
    docs = []
    for i in range(count):
        number = rnd.choice(["7", "18", "1,024", "-3", "2.5", "$40", "12."])
        question = rnd.choice(["", " ", "\n"]) + f"Item {i}: {text(rnd, 3, 8)}?" + rnd.choice(["", " ", "\u00a0"])
        docs.append({"question": question, "answer": f"{text(rnd, 2, 5)} = <<1+1=2>>2.\n#### {number}"})
    return docs


def hellaswag(rnd, count):
    docs = []
    for i in range(count):
        a = f"A {text(rnd, 2, 5)} [substeps] does.  Then" + rnd.choice(["", " [title] next"])
        b = rnd.choice(["she", "ÉLAN Goes", "", "ßtraße is", "[x] he"])
        docs.append({
            "ind": i, "activity_label": rnd.choice(["Baking", " Ice [a] fishing ", "Élan"]), "ctx_a": a, "ctx_b": b,
            "ctx": f"{a} {b.capitalize()}", "endings": [f" {text(rnd, 2, 5)} [step]  end {k}." for k in range(4)],
            "source_id": f"made~{i}", "split": "made", "split_type": "indomain", "label": str(rnd.randrange(4)),
        })
    return docs


def arc(rnd, count):
    docs = []
    for i in range(count):
        size = rnd.choice([4, 4, 4, 3, 5])
        label = rnd.choice(["ABCDE", "12345"])[:size]
        docs.append({
            "id": f"made_{i}", "question": f"Why {text(rnd, 3, 6)}?",
            "choices": {"text": [rnd.choice(["", "\"", "'"]) + text(rnd, 1, 4) for _ in label], "label": list(label)},
            "answerKey": rnd.choice(label),
        })
    return docs


def mmlu(rnd, count, subject):
    return [{
        "question": rnd.choice(["", " ", "\n"]) + f"Which {text(rnd, 2, 5)}?" + rnd.choice(["", "  "]), "subject": subject,
        "choices": [text(rnd, 1, 3) for _ in range(4)], "answer": rnd.randrange(4),
    } for _ in range(count)]


def triviaqa(rnd, count):
    docs = []
    for i in range(count):
        aliases = [text(rnd, 1, 2) for _ in range(rnd.randint(1, 4))] + rnd.choice([[], ["it's \"quoted\""], ["back\\slash\n"], ["12"]])
        docs.append({
            "question": f"Who {text(rnd, 2, 5)}" + rnd.choice(["", "?"]), "question_id": f"q_{i}", "question_source": "made",
            "entity_pages": {"doc_source": [], "filename": []}, "search_results": {"rank": [], "url": []},
            "answer": {"aliases": aliases, "normalized_aliases": [a.lower() for a in aliases], "matched_wiki_entity_name": "",
                       "normalized_matched_wiki_entity_name": "", "normalized_value": aliases[0].lower(), "type": "Made", "value": aliases[0]},
        })
    return docs


def wikitext(rnd, count):
    docs = []
    for i in range(count):
        page = (f" = Page {i} = \n \n {text(rnd, 4, 9)} , the girls ' house @-@ built 1 @,@ 024 @.@ 5 ; yes : no ! why ? end . "
                f"( a {text(rnd, 1, 2)} ) [ b ] {{ c }} \" {text(rnd, 1, 3)} \" ' d ' N 20 \u00b0 C it 's \n = = Part = = \n = = = Sub = = = \n"
                f" = = = = Deep = = = = \n /' 7/ \u2028 {text(rnd, 3, 8)} \n")
        docs.append({"page": page})
    return docs


def humaneval(rnd, count):
    return [{
        "task_id": f"Made/{i}", "prompt": f"def f{i}(x):\n    \"\"\" {text(rnd, 2, 5)}\n    \"\"\"\n", "canonical_solution": "    return x\n",
        "test": f"\n\ndef check(candidate):\n    assert candidate({i}) == {i}\n", "entry_point": f"f{i}",
    } for i in range(count)]


def quiz(rnd, count):
    """For tasks of one's own: many kinds of values."""
    docs = []
    for i in range(count):
        docs.append({
            "id": i, "score": rnd.choice([0.5, 1.0, 2.0, 1e-7, 3e20]), "topic": rnd.choice(["plants", "Élan"]), "hint": rnd.choice(["Well", "So "]),
            "q": text(rnd, 2, 5), "options": [f"{k}{text(rnd, 1, 3)}" for k in range(3)], "gold": rnd.randrange(3),
            "golds": sorted(rnd.sample(range(3), 2)), "reply": text(rnd, 3, 7), "replies": [text(rnd, 1, 2) for _ in range(2)],
        })
    return docs


def all_documents(subjects):
    """(dataset path, dataset name) -> split -> documents"""
    rnd = random.Random(20261128)
    made = {
        ("openai/gsm8k", "main"): {"train": gsm8k(rnd, 30), "test": gsm8k(rnd, 8)},
        ("Rowan/hellaswag", None): {"train": hellaswag(rnd, 9), "validation": hellaswag(rnd, 6)},
        ("allenai/ai2_arc", "ARC-Easy"): {"train": arc(rnd, 14), "validation": arc(rnd, 2), "test": arc(rnd, 6)},
        ("allenai/ai2_arc", "ARC-Challenge"): {"train": arc(rnd, 14), "validation": arc(rnd, 2), "test": arc(rnd, 6)},
        ("mandarjoshi/trivia_qa", "rc.nocontext"): {"train": triviaqa(rnd, 9), "validation": triviaqa(rnd, 8)},
        ("EleutherAI/wikitext_document_level", "wikitext-2-raw-v1"): {"train": wikitext(rnd, 1), "validation": wikitext(rnd, 1), "test": wikitext(rnd, 4)},
        ("openai/openai_humaneval", None): {"test": humaneval(rnd, 4)},
        ("quiz", None): {"train": quiz(rnd, 25), "test": quiz(rnd, 6)},
    }
    # two equal documents in the pool, one of them judged: it is left out, and others are drawn
    made["quiz", None]["train"][3] = made["quiz", None]["test"][0]
    for subject in subjects:
        made["cais/mmlu", subject] = {"dev": mmlu(rnd, 5, subject), "test": mmlu(rnd, rnd.randint(1, 3), subject)}
    return made
