/** The syntax tree of a template, which `parseProgram` makes and `renderProgram` evaluates. */
export interface Program {
  readonly type: 'Program';
  readonly body: readonly Statement[];
}

export type Statement =
  | Expression
  | If
  | For
  | SetStatement
  | Macro
  | CallStatement
  | FilterStatement
  | With
  | { readonly type: 'Break' | 'Continue' }
  | { readonly type: 'Comment'; readonly value: string };

export interface If {
  readonly type: 'If';
  readonly test: Expression;
  readonly body: readonly Statement[];
  readonly alternate: readonly Statement[];
}

export interface For {
  readonly type: 'For';
  readonly loopvar: Expression;
  /** `for x in list if test` has a selection here. */
  readonly iterable: Expression;
  readonly body: readonly Statement[];
  /** `{% else %}` */
  readonly defaultBlock: readonly Statement[];
}

export interface SetStatement {
  readonly type: 'Set';
  readonly assignee: Expression;
  /** Null: the text of `body` is assigned. */
  readonly value: Expression | null;
  readonly body: readonly Statement[];
}

/** A parameter of a macro, with a default value or without. */
export type Parameter = Identifier | KeywordArgument;

export interface Macro {
  readonly type: 'Macro';
  readonly name: Identifier;
  readonly args: readonly Parameter[];
  readonly body: readonly Statement[];
}

export interface CallStatement {
  readonly type: 'CallStatement';
  readonly call: Call;
  readonly callerArgs: readonly Parameter[] | null;
  readonly body: readonly Statement[];
}

export interface FilterStatement {
  readonly type: 'FilterStatement';
  readonly filter: FilterOrTest;
  readonly body: readonly Statement[];
}

/** `{% with a = 1, b = 2 %}`: every value is computed before any name is set. */
export interface With {
  readonly type: 'With';
  readonly targets: readonly Expression[];
  readonly values: readonly Expression[];
  readonly body: readonly Statement[];
}

export type Expression =
  | { readonly type: 'IntegerLiteral' | 'FloatLiteral'; readonly value: number }
  | { readonly type: 'StringLiteral'; readonly value: string }
  | { readonly type: 'ArrayLiteral' | 'TupleLiteral'; readonly value: readonly Expression[] }
  | { readonly type: 'ObjectLiteral'; readonly value: ReadonlyMap<Expression, Expression> }
  | Identifier
  | Member
  | Call
  | Unary
  | Binary
  | ComparisonChain
  | { readonly type: 'FilterExpression'; readonly operand: Expression; readonly filter: FilterOrTest }
  | TestExpression
  | { readonly type: 'SelectExpression'; readonly lhs: Expression; readonly test: Expression }
  | Ternary;

export interface Identifier {
  readonly type: 'Identifier';
  readonly value: string;
}

/** `object.property`, or `object[property]` where it is computed. */
export interface Member {
  readonly type: 'MemberExpression';
  readonly object: Expression;
  readonly property: Expression | Slice;
  readonly computed: boolean;
}

export interface Slice {
  readonly type: 'SliceExpression';
  readonly start?: Expression;
  readonly stop?: Expression;
  readonly step?: Expression;
}

export interface Call {
  readonly type: 'CallExpression';
  readonly callee: Expression;
  readonly args: readonly Argument[];
}

export type Argument =
  | Expression
  | KeywordArgument
  | { readonly type: 'SpreadExpression'; readonly argument: Expression }
  | { readonly type: 'KeywordSpreadExpression'; readonly argument: Expression };

export interface KeywordArgument {
  readonly type: 'KeywordArgumentExpression';
  readonly key: Identifier;
  readonly value: Expression;
}

/** A filter or a test, by its name alone or with arguments. */
export type FilterOrTest = Identifier | (Call & { readonly callee: Identifier });

export interface Unary {
  readonly type: 'UnaryExpression';
  readonly operator: { readonly value: string };
  readonly argument: Expression;
}

export interface Binary {
  readonly type: 'BinaryExpression';
  readonly operator: { readonly value: string };
  readonly left: Expression;
  readonly right: Expression;
}

/** `first < a < b`, which is `first < a and a < b` with each operand computed at most once. */
export interface ComparisonChain {
  readonly type: 'ComparisonChain';
  readonly first: Expression;
  readonly others: readonly Comparison[];
}

export interface Comparison {
  readonly operator: { readonly value: string };
  readonly operand: Expression;
}

export interface TestExpression {
  readonly type: 'TestExpression';
  readonly operand: Expression;
  readonly negate: boolean;
  readonly test: FilterOrTest;
}

export interface Ternary {
  readonly type: 'Ternary';
  readonly condition: Expression;
  readonly trueExpr: Expression;
  readonly falseExpr: Expression;
}

/** Any part of a template. */
export type Node = Program | Statement | Slice;
