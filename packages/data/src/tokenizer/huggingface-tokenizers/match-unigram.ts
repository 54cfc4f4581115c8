import { Unigram, type Tokenizer } from '@huggingface/tokenizers';
import { byteTokens } from './byte-tokens.ts';

type Lattice = Parameters<Unigram['populate_nodes']>[0];
type LatticeNode = Lattice['nodes'][number];

/**
 * Corrects a Unigram model of the library:
 *
 * - It passes all tokens of a piece as arguments of one call, which fails from about 120,000 tokens on.
 * - It chooses between two ways to a place after adding the next token's score, which may round both to the
 *   same sum. Rust compares the sums at that place.
 * - It ignores `byte_fallback`. In Rust, unknown characters become the tokens of their bytes (`<0xE6>`), if
 *   the vocabulary has all of them.
 */
export function matchUnigram({ model }: Tokenizer): void {
  if (!(model instanceof Unigram)) return;
  model.encode = (pieces) => pieces.flatMap((piece) => model.tokenize(piece));
  const populate = model.populate_nodes.bind(model);
  model.populate_nodes = (lattice) => {
    populate(lattice);
    lattice.viterbi = () => bestPath(lattice);
  };
  if ((model.config as { byte_fallback?: boolean }).byte_fallback !== true) return;
  const call = model._call.bind(model);
  const isKnown = (token: string): boolean => model.tokens_to_ids.has(token);
  model._call = (pieces) =>
    call(pieces).flatMap((token) => {
      const bytes = isKnown(token) ? [] : byteTokens(token);
      return bytes.length > 0 && bytes.every(isKnown) ? bytes : [token];
    });
}

/**
 * The tokens with the largest sum of scores. Of equal sums, the token that begins first counts. Every place
 * of the text can be reached, because an unknown character is a token too.
 */
function bestPath({ len, begin_nodes: beginning, end_nodes: ending }: Lattice): LatticeNode[] {
  const bestUpTo = (place: number): LatticeNode =>
    ending[place].reduce((best, node) => (node.backtrace_score > best.backtrace_score ? node : best));
  for (let place = 0; place <= len; place++) {
    const before = bestUpTo(place);
    for (const node of beginning[place]) {
      node.prev = before;
      node.backtrace_score = before.backtrace_score + node.score;
    }
  }
  const path: LatticeNode[] = [];
  for (let node = bestUpTo(len); node.prev !== null; node = node.prev) path.push(node);
  return path.reverse();
}
