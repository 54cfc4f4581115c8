# 1,200 training and 200 held-out rows of 16 tasks of reasoning-gym 0.1.25 (PyPI, Apache-2.0), seeds 1 and 2.
# Writes reasoning-train.jsonl and reasoning-test.jsonl into the current folder.
import json, random, reasoning_gym
names = ['word_sorting','number_sorting','spell_backward','sentence_reordering','polynomial_multiplication','group_anagrams',
 'letter_jumble','caesar_cipher','number_filtering','chain_sum','decimal_chain_sum','base_conversion','prime_factorization',
 'simple_equations','word_sequence_reversal','number_sequence']
def rows(count, seed):
    out = []
    for name in names:
        for x in reasoning_gym.create_dataset(name, size=200, seed=seed):
            q, a = str(x['question']), str(x['answer'])
            if len(q) <= 900 and 0 < len(a) <= 400: out.append({'question': q, 'answer': a})
    seen, unique = set(), []
    for r in out:
        if r['question'] not in seen: seen.add(r['question']); unique.append(r)
    random.Random(seed).shuffle(unique)
    return unique[:count]
train = rows(1400, 1); qs = {r['question'] for r in train}
test = [r for r in rows(600, 2) if r['question'] not in qs][:200]
for n, rs in (('train', train[:1200]), ('test', test)):
    open(f'reasoning-{n}.jsonl', 'w').write(''.join(json.dumps(r, ensure_ascii=False) + '\n' for r in rs))
    print(n, len(rs[:1200]), sum(len(r['answer']) for r in rs)/len(rs), sum(len(r['question']) for r in rs)/len(rs))
