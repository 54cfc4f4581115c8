import type { Expression, FilterOrTest, Node, Parameter } from './nodes.ts';

/**
 * Whether a part of a template reads a variable anywhere. `message.tools`, `message['tools']` and
 * `{% set tools = none %}` do not read `tools`.
 */
export function readsName(part: unknown, name: string): boolean {
  if (typeof part !== 'object' || part === null) return false;
  if (part instanceof Map || Array.isArray(part)) {
    const inside: readonly unknown[] = part instanceof Map ? [...part].flat() : part;
    return inside.some((inner) => readsName(inner, name));
  }
  const node = part as Node | Parameter;
  if (node.type === 'Identifier') return node.value === name;
  return valuesOf(node).some((inner) => readsName(inner, name));
}

/** The parts of a node that are computed: not the names that it sets, or those of attributes and filters. */
function valuesOf(node: Exclude<Node | Parameter, { type: 'Identifier' }>): readonly unknown[] {
  switch (node.type) {
    case 'MemberExpression':
      return node.computed ? [node.object, node.property] : [node.object];
    case 'KeywordArgumentExpression':
      return [node.value];
    case 'FilterExpression':
      return [node.operand, argumentsOf(node.filter)];
    case 'FilterStatement':
      return [argumentsOf(node.filter), node.body];
    case 'TestExpression':
      return [node.operand, argumentsOf(node.test)];
    case 'With':
      return [node.values, node.body];
    case 'ComparisonChain':
      return [node.first, ...node.others.map(({ operand }) => operand)];
    case 'Set':
      return [ownerOf(node.assignee), node.value, node.body];
    case 'For':
      return [node.iterable, node.body, node.defaultBlock];
    case 'Macro':
      return [defaultsOf(node.args), node.body];
    case 'CallStatement':
      return [node.call, defaultsOf(node.callerArgs ?? []), node.body];
    default:
      return Object.values(node);
  }
}

const argumentsOf = (called: FilterOrTest): unknown => (called.type === 'Identifier' ? [] : called.args);

const ownerOf = (assignee: Expression): unknown =>
  assignee.type === 'MemberExpression' ? assignee.object : [];

const defaultsOf = (parameters: readonly Parameter[]): unknown =>
  parameters.filter(({ type }) => type !== 'Identifier');
