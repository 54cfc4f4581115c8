import { itemsOf, Namespace, textOf, type CallArguments, type Dict, type Value } from './python/values.ts';

/** `namespace(…)`, from a mapping or pairs and from named arguments. */
export function namespace({ positional, named }: CallArguments): Namespace {
  const [source] = positional;
  const pairs = source instanceof Map ? [...(source as Dict)] : source === undefined ? [] : pairsOf(source);
  return new Namespace(new Map([...pairs, ...named]));
}

function pairsOf(source: Value): (readonly [string, Value])[] {
  return (itemsOf(source) ?? [source]).map((pair) => {
    const items = itemsOf(pair);
    if (items?.length !== 2) throw new Error('namespace() takes a mapping or a list of pairs');
    return [textOf(items[0], 'a key of namespace()'), items[1]];
  });
}
