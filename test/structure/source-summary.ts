/** What the measures of the structure need to know of one TypeScript file. */
import { posix } from 'node:path';
import { type Node, parseSync, visitorKeys } from 'oxc-parser';

export interface SourceSummary {
  /** From the repository's root, with slashes. */
  path: string;
  lines: number;
  functions: FunctionSpan[];
  /** Files of the repository that it imports, for types alone and dynamically too. */
  imports: string[];
  /** Names that it declares and exports; what it passes on from another file is not its own. */
  exports: string[];
}

/** A function, method, getter or callback. Functions inside it are part of it and stand for themselves too. */
export interface FunctionSpan {
  name: string;
  /** Of its first character, from 1. */
  line: number;
  lines: number;
  /** Of `{ … }`, or of the expression that an arrow returns. */
  body: { start: number; end: number; isExpression: boolean };
}

type FunctionNode = Extract<Node, { params: unknown; body: unknown; generator: boolean }>;

/** @throws SyntaxError naming the file */
export function summarizeSource(path: string, text: string): SourceSummary {
  const { program, module, errors } = parseSync(path, text);
  if (errors[0] !== undefined) throw new SyntaxError(`${path}: ${errors[0].message}`);
  const exported = module.staticExports.flatMap(({ entries }) => entries);
  const requests = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...exported.map(({ moduleRequest }) => moduleRequest?.value),
    ...module.dynamicImports.map(({ moduleRequest: { start, end } }) => text.slice(start + 1, end - 1)),
  ];
  const names = exported.map((entry) => (entry.moduleRequest === null ? entry.exportName.name : null));
  return {
    path,
    lines: lineAt(text, text.trimEnd().length),
    functions: functionsOf(program, [], text),
    imports: unique(requests.filter((request) => request?.startsWith('.'))).map((request) =>
      posix.join(posix.dirname(path), request),
    ),
    exports: unique(names),
  };
}

/** In the order of the text, outer before inner. */
function functionsOf(node: Node, ancestors: Node[], text: string): FunctionSpan[] {
  const own = isFunction(node) && node.body !== null ? [spanOf(node, ancestors, text)] : [];
  const inner = childrenOf(node).flatMap((child) => functionsOf(child, [node, ...ancestors], text));
  return [...own, ...inner];
}

function isFunction(node: Node): node is FunctionNode {
  return /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type);
}

function spanOf(node: FunctionNode, ancestors: Node[], text: string): FunctionSpan {
  const { start, end } = ancestors[0]?.type === 'MethodDefinition' ? ancestors[0] : node;
  const line = lineAt(text, start);
  const body = node.body!;
  return {
    name: nameOf(node, ancestors, text),
    line,
    lines: lineAt(text, end) - line + 1,
    body: { start: body.start, end: body.end, isExpression: body.type !== 'BlockStatement' },
  };
}

/** `parse`, `Publisher.close`, `callback of setTimeout`. */
function nameOf(node: FunctionNode, ancestors: Node[], text: string): string {
  const [parent] = ancestors;
  if (node.id) return node.id.name;
  switch (parent?.type) {
    case 'MethodDefinition':
    case 'PropertyDefinition': {
      const owner = ancestors.find((ancestor) => /^Class(Declaration|Expression)$/.test(ancestor.type));
      const name =
        owner !== undefined && 'id' in owner && owner.id !== null
          ? sourceOf(owner.id as Node, text)
          : 'class';
      return `${name}.${sourceOf(parent.key, text)}`;
    }
    case 'Property':
      return sourceOf(parent.key, text);
    case 'VariableDeclarator':
      return sourceOf(parent.id, text);
    case 'CallExpression':
    case 'NewExpression':
      return `callback of ${sourceOf(parent.callee, text)}`;
    default:
      return `function in ${enclosingName(ancestors, text)}`;
  }
}

function enclosingName(ancestors: Node[], text: string): string {
  const at = ancestors.findIndex(isFunction);
  return at === -1 ? 'the module' : nameOf(ancestors[at] as FunctionNode, ancestors.slice(at + 1), text);
}

function childrenOf(node: Node): Node[] {
  const fields = node as unknown as Record<string, Node | (Node | null)[] | null | undefined>;
  return (visitorKeys[node.type] ?? []).flatMap((key) => fields[key] ?? []).filter((child) => child !== null);
}

const NAME_LENGTH_MAX = 40;

function sourceOf({ start, end }: Node, text: string): string {
  const source = text.slice(start, end).replace(/\s+/g, ' ');
  return source.length > NAME_LENGTH_MAX ? `${source.slice(0, NAME_LENGTH_MAX)}…` : source;
}

function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

function unique<T>(values: T[]): NonNullable<T>[] {
  return [...new Set(values.filter((value) => value !== null && value !== undefined))];
}
