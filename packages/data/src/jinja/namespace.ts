import {
  iterated,
  itemsOf,
  Namespace,
  textOf,
  type CallArguments,
  type Dict,
  type Value,
} from './python/values.ts';

/** `namespace(…)`, from a mapping or pairs and from named arguments. */
export const namespace = (args: CallArguments): Namespace =>
  new Namespace(new Map(entriesOf(args, 'namespace()')));

/** `dict(…)`, from the same. */
export const dict = (args: CallArguments): Dict => new Map(entriesOf(args, 'dict()'));

function entriesOf({ positional, named }: CallArguments, where: string): (readonly [string, Value])[] {
  const [source] = positional;
  const pairs = source instanceof Map ? [...(source as Dict)] : pairsOf(source, where);
  return [...pairs, ...named];
}

function pairsOf(source: Value, where: string): (readonly [string, Value])[] {
  if (source === undefined) return [];
  return (iterated(source) ?? [source]).map((pair) => {
    const items = itemsOf(pair);
    if (items?.length !== 2) throw new Error(`${where} takes a mapping or a list of pairs`);
    return [textOf(items[0], `a key of ${where}`), items[1]];
  });
}
