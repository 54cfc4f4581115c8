import type { ScalarTag, Tags } from 'yaml';

/** The tags of YAML 1.1 that PyYAML resolves by other rules than `yaml`. */
const REPLACED: ReadonlySet<string> = new Set(['bool', 'int', 'float', 'timestamp'].map(tagOf));

/** Scalars without quotes, from `resolver.py` of PyYAML 6: `y`, `1e5` and `08` are texts. */
const BOOLEAN = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const WHOLE = /^[-+]?(?:0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
const FLOAT = new RegExp(
  [
    /^[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?$/,
    /^\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?$/,
    /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*$/,
    /^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$/,
  ]
    .map(({ source }) => source)
    .join('|'),
);

const PYTHON_TAGS: readonly ScalarTag[] = [
  { tag: tagOf('bool'), default: true, test: BOOLEAN, resolve: (text) => /^(?:yes|true|on)$/i.test(text) },
  { tag: tagOf('int'), default: true, test: WHOLE, resolve: wholeOf },
  { tag: tagOf('float'), default: true, test: FLOAT, resolve: floatOf },
  // With the tag in the file: `!!float 1e5`.
  { tag: tagOf('int'), resolve: wholeOf },
  { tag: tagOf('float'), resolve: floatOf },
];

/** Tags of YAML 1.1 with the scalars of PyYAML. A date stays a text: no template can read Python's dates. */
export const pythonTags = (tags: Tags): Tags => [
  ...tags.filter((tag) => typeof tag === 'string' || !REPLACED.has(tag.tag)),
  ...PYTHON_TAGS,
];

function tagOf(name: string): string {
  return `tag:yaml.org,2002:${name}`;
}

/** @throws SyntaxError for digits that are missing or of another base */
function wholeOf(text: string): bigint {
  const { sign, digits } = unsigned(text);
  const size = digits.includes(':')
    ? digits.split(':').reduce((total, part) => total * 60n + BigInt(part), 0n)
    : BigInt(digits.replace(/^0(?=[0-7])/, '0o'));
  return sign === '-' ? -size : size;
}

/** @throws SyntaxError for a text that is no number */
function floatOf(text: string): number {
  const { sign, digits } = unsigned(text.toLowerCase());
  if (digits === '.nan') return NaN;
  const size =
    digits === '.inf' ? Infinity : digits.split(':').reduce((total, part) => total * 60 + Number(part), 0);
  if (Number.isNaN(size)) throw new SyntaxError(`${text} is no number`);
  return sign === '-' ? -size : size;
}

function unsigned(text: string): { readonly sign: string; readonly digits: string } {
  const [, sign, digits] = /^([-+]?)(.*)$/s.exec(text.replaceAll('_', ''))!;
  return { sign, digits };
}
