import { QdyloraError } from '@qdylora/contract';
import { boundedCache } from './bounded-cache.ts';

/** Longest cluster of characters that is mapped as a whole, in bytes of UTF-8, as in the Rust library. */
const LONGEST_CLUSTER = 5;

/**
 * The normalizer of SentencePiece's `precompiled_charsmap`, with the results of the Rust library
 * (`spm_precompiled`): each cluster of characters (a letter with its marks) is replaced as a whole if a key
 * of the map is a prefix of it, else each of its characters is. The shortest such key counts.
 *
 * The map holds, in base64: the size of a trie in bytes, the trie (a double array of Darts-clone), and the
 * replacements, each closed by a zero byte.
 *
 * @throws QdyloraError BAD_FILE for another text than such a map
 */
export function precompiledMap(base64: unknown): (text: string) => string {
  const { units, replacements } = partsOfMap(base64);
  const replacementOf = (text: string): string | undefined => {
    const at = shortestPrefix(units, encoder.encode(text));
    if (at === undefined) return undefined;
    const end = replacements.indexOf(0, at);
    return decoder.decode(replacements.subarray(at, end < 0 ? replacements.length : end));
  };
  const known = boundedCache<string>();
  const mapped = (cluster: string): string => {
    const isShort = encoder.encode(cluster).length <= LONGEST_CLUSTER;
    return (
      (isShort ? replacementOf(cluster) : undefined) ??
      Array.from(cluster, (character) => replacementOf(character) ?? character).join('')
    );
  };
  return (text) => {
    let normalized = '';
    for (const cluster of clustersOf(text)) {
      let replacement = known.get(cluster);
      if (replacement === undefined) {
        replacement = mapped(cluster);
        if (cluster.length <= LONGEST_CLUSTER) known.put(cluster, replacement);
      }
      normalized += replacement;
    }
    return normalized;
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });

/** Length of the texts that are given to `Intl.Segmenter`, which takes quadratic time (Node 20). */
const WINDOW = 64;

const isPlain = (code: number): boolean => code >= 0x20 && code < 0x7f;

/**
 * The grapheme clusters of a text. Two plain ASCII characters are never in one. The last cluster of a window
 * may go on behind it, so the next window begins with it.
 */
function* clustersOf(text: string): Generator<string, void, void> {
  let size = WINDOW;
  for (let at = 0; at < text.length;) {
    if (isPlain(text.charCodeAt(at)) && (at + 1 === text.length || isPlain(text.charCodeAt(at + 1)))) {
      yield text[at++];
      continue;
    }
    const isLast = at + size >= text.length;
    const clusters = Array.from(segmenter.segment(text.slice(at, at + size)), ({ segment }) => segment);
    if (!isLast) clusters.pop();
    size = clusters.length === 0 ? 2 * size : WINDOW; // one cluster fills the window
    for (const cluster of clusters) {
      yield cluster;
      at += cluster.length;
    }
  }
}

interface MapParts {
  /** `units[i]`: label, offset and leaf of a node; or a value, where a leaf points to. */
  readonly units: Uint32Array;
  readonly replacements: Uint8Array;
}

function partsOfMap(base64: unknown): MapParts {
  try {
    const bytes = Uint8Array.from(atob(base64 as string), (character) => character.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const trieBytes = view.getUint32(0, true);
    if (trieBytes > bytes.length - 4) throw new RangeError(`The trie has ${trieBytes} bytes`);
    const units = Uint32Array.from({ length: Math.floor(trieBytes / 4) }, (_, i) =>
      view.getUint32(4 + 4 * i, true),
    );
    return { units, replacements: bytes.subarray(4 + trieBytes) };
  } catch (cause) {
    throw new QdyloraError('BAD_FILE', {
      where: 'tokenizer.json',
      problem: 'The `precompiled_charsmap` of its normalizer is not a map of characters.',
      nextStep: 'Download the file again.',
      cause,
    });
  }
}

/** The value of the shortest key of the trie that is a prefix of `bytes`; undefined if there is none. */
function shortestPrefix(units: Uint32Array, bytes: Uint8Array): number | undefined {
  let node = offsetOf(units[0]);
  for (const byte of bytes) {
    if (byte === 0) return undefined;
    node ^= byte;
    const unit = units[node] ?? 0; // a damaged map may point outside
    if ((unit & 0x8000_00ff) !== byte) return undefined;
    node ^= offsetOf(unit);
    const hasLeaf = ((unit >>> 8) & 1) === 1;
    if (hasLeaf) return units[node] & 0x7fff_ffff;
  }
  return undefined;
}

/** Distance to the children of a node: a number of 22 bits, times 256 if bit 9 is set. */
const offsetOf = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
