/** Messages for values that a zod schema refuses: where, what was expected, what was found. */
import { z } from 'zod';
import { closestName } from './closest-name.ts';
import { capText } from './redact.ts';

/** The part of JSON Schema that zod writes and these messages need. */
export interface JsonSchema {
  type?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  additionalProperties?: boolean | JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
}

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** A value or a key longer than this is cut in a message. */
const SHOWN_CHARACTERS = 60;
/** More faults than these help nobody, and a sender can make any number of them. */
const SHOWN_FAULTS = 10;

/**
 * All faults in one line, separated by `; `, such as
 * `steps[0].params.radius: expected a number from 0 to 1000, got "big"`.
 *
 * @param root the refused value
 * @param schema the schema that refused it; adds bounds, and a suggestion for an unknown key
 * @param at the path of `root` itself, such as `steps[0].params`
 */
export function validationMessage(error: z.ZodError, root: unknown, schema?: z.ZodType, at = ''): string {
  return validationMessages(error, root, schema, at).join('; ');
}

/** The same as {@link validationMessage}, one line a fault. */
export function validationMessages(error: z.ZodError, root: unknown, schema?: z.ZodType, at = ''): string[] {
  const json = schema === undefined ? undefined : toJsonSchema(schema);
  const lines = error.issues
    .slice(0, SHOWN_FAULTS)
    .flatMap((issue) => messagesOf(issue, root, json, at))
    .slice(0, SHOWN_FAULTS);
  const more = error.issues.reduce((sum, issue) => sum + faultsIn(issue), 0) - SHOWN_FAULTS;
  return more > 0 ? [...new Set(lines), `and ${more} more`] : [...new Set(lines)];
}

function faultsIn(issue: Issue): number {
  return issue.code === 'unrecognized_keys' ? issue.keys.length : 1;
}

/** The input side of a zod schema as JSON Schema. */
export function toJsonSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', cycles: 'ref' }) as JsonSchema;
}

/** What a schema accepts, such as `a number from 0 to 1000`. */
export function expectedType(schema: JsonSchema): string | undefined {
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  if (schema.const !== undefined) return formatValue(schema.const);
  const options = schema.anyOf ?? schema.oneOf;
  if (options !== undefined) return joinOr(options.map(expectedType));
  switch (schema.type) {
    case 'number':
      return `a number${range(schema.minimum, schema.maximum, schema)}`;
    case 'integer':
      return `a whole number${range(shownBound(schema.minimum), shownBound(schema.maximum), schema)}`;
    case 'string':
      return `a string${lengthRange(schema.minLength, schema.maxLength, 'characters')}`;
    case 'array':
      return `a list${lengthRange(schema.minItems, schema.maxItems, 'entries')}`;
    case 'boolean':
      return 'true or false';
    case 'object':
      return 'an object';
    default:
      return schema.type;
  }
}

function messagesOf(issue: Issue, root: unknown, schema: JsonSchema | undefined, at: string): string[] {
  const places = schema === undefined ? [] : schemasAt(schema, issue.path);
  const where = formatPath(at, issue.path);
  if (issue.code === 'unrecognized_keys') {
    const known = places.flatMap((place) => Object.keys(place.properties ?? {}));
    return issue.keys
      .slice(0, SHOWN_FAULTS)
      .map((key) => `${formatPath(at, [...issue.path, key])}: ${unknownKeyMessage(key, known)}`);
  }
  const value = valueAt(root, issue.path);
  if (issue.code === 'invalid_union') {
    const branch = meantBranch(issue.errors);
    if (branch !== undefined) {
      const inner = branch.map((fault) => ({ ...fault, path: [...issue.path, ...fault.path] }));
      return inner.flatMap((fault) => messagesOf(fault, root, schema, at));
    }
  }
  if (issue.code === 'custom') return [`${where}: ${refinementMessage(issue.message, value)}`];
  const fromSchema = joinOr(places.map(expectedType));
  const expected = authorsMessage(issue.message) ?? fromSchema ?? expectedBy(issue);
  const got = value === undefined ? 'it is missing' : `got ${formatValue(value)}`;
  return [`${where}: expected ${expected}, ${got}`];
}

/** What the schema's author wrote, as in `z.string('a storage key')`; zod's own messages are less exact. */
function authorsMessage(message: string): string | undefined {
  return /^(?:Invalid|Too (?:small|big)|Unrecognized|Required)\b/.test(message)
    ? undefined
    : message.replace(/^expected /, '');
}

/** A refinement's message; the value is added to one that only says what was expected. */
function refinementMessage(message: string, value: unknown): string {
  const complete = !message.startsWith('expected ') || message.includes(', got ') || value === undefined;
  return complete ? message : `${message}, got ${formatValue(value)}`;
}

/** What was expected, from the issue alone. */
function expectedBy(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return withArticle(issue.expected === 'int' ? 'whole number' : issue.expected);
    case 'invalid_value':
      return issue.values.length === 1
        ? formatValue(issue.values[0])
        : `one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}${unitOf(issue.origin)}`;
    case 'too_big':
      return `${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}${unitOf(issue.origin)}`;
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_union':
      return joinOr(issue.errors.flat().map(expectedBy)) ?? 'another value';
    default:
      return issue.message.replace(/^Invalid (?:string|input): /, '').replace(/^expected /, '');
  }
}

/** The branch of a union whose faults lie deepest: the one the sender meant. None when all fail at the top. */
function meantBranch(branches: readonly Issue[][]): Issue[] | undefined {
  const depth = (branch: Issue[]) =>
    Math.max(0, ...branch.map((issue) => issue.path.length + (issue.code === 'unrecognized_keys' ? 1 : 0)));
  const deepest = [...branches].sort((a, b) => depth(b) - depth(a))[0];
  return deepest !== undefined && depth(deepest) > 0 ? deepest : undefined;
}

function schemasAt(schema: JsonSchema, path: Path): JsonSchema[] {
  const options = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (options !== undefined && path.length > 0) return options.flatMap((option) => schemasAt(option, path));
  const [key, ...rest] = path;
  if (key === undefined) return options !== undefined && schema.allOf === undefined ? options : [schema];
  const inner =
    typeof key === 'number'
      ? schema.items
      : (schema.properties?.[String(key)] ?? schema.additionalProperties);
  return typeof inner === 'object' ? schemasAt(inner, rest) : [];
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

function formatPath(at: string, path: Path): string {
  let text = at;
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else text += `${text === '' ? '' : '.'}${capText(String(key), SHOWN_CHARACTERS)}`;
  }
  return text === '' ? 'the value' : text;
}

function unknownKeyMessage(key: string, known: readonly string[]): string {
  const guess = closestName(key, known);
  if (guess !== undefined) return `unknown, did you mean ${guess}?`;
  return known.length === 0 ? 'unknown' : `unknown, known are ${known.join(', ')}`;
}

function range(minimum: number | undefined, maximum: number | undefined, schema: JsonSchema): string {
  const low = minimum === undefined ? undefined : `from ${minimum}`;
  const above = schema.exclusiveMinimum === undefined ? undefined : `above ${schema.exclusiveMinimum}`;
  const high = maximum === undefined ? undefined : `to ${maximum}`;
  const below = schema.exclusiveMaximum === undefined ? undefined : `below ${schema.exclusiveMaximum}`;
  if (low !== undefined && high === undefined && below === undefined) return ` of ${minimum} or more`;
  if (high !== undefined && low === undefined && above === undefined) return ` of ${maximum} or less`;
  const words = [above ?? low, high === undefined ? below : `${above === undefined ? '' : 'up '}${high}`];
  return words.some((word) => word !== undefined) ? ` ${words.filter(Boolean).join(' ')}` : '';
}

function lengthRange(minimum: number | undefined, maximum: number | undefined, unit: string): string {
  if (minimum !== undefined && maximum !== undefined) return ` of ${minimum} to ${maximum} ${unit}`;
  if (minimum !== undefined) return minimum === 1 ? ' that is not empty' : ` of at least ${minimum} ${unit}`;
  return maximum === undefined ? '' : ` of at most ${maximum} ${unit}`;
}

/** zod bounds whole numbers by what a double holds exactly. No reader wants to see that. */
function shownBound(bound: number | undefined): number | undefined {
  return bound === undefined || Math.abs(bound) >= Number.MAX_SAFE_INTEGER ? undefined : bound;
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters';
  return origin === 'array' || origin === 'set' ? ' entries' : '';
}

function withArticle(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`;
}

function joinOr(options: readonly (string | undefined)[]): string | undefined {
  const known = [...new Set(options.filter((option) => option !== undefined))];
  return known.length === 0 ? undefined : known.join(' or ');
}

/** A value as a message shows it: JSON, cut to a readable length. */
function formatValue(value: unknown): string {
  const text = (typeof value === 'number' ? undefined : JSON.stringify(value)) ?? String(value);
  return capText(text, SHOWN_CHARACTERS + 1);
}
