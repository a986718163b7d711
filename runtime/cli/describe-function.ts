/** Says what a filter does and takes. */
import type { Filter, FilterCost } from '../filter.ts';
import { expectedType, type JsonSchema, toJsonSchema } from '../validation-message.ts';

/** One parameter of a filter, for a person to read. */
export interface ParameterDescription {
  name: string;
  /** JSON type: number, integer, string, boolean, object, or several joined by `|`. */
  type: string;
  required: boolean;
  default?: unknown;
  minimum?: number;
  maximum?: number;
  /** The accepted values, where they are a fixed few. */
  values?: unknown[];
  /** What is accepted, in words: `a number from 0 to 1000`. */
  accepts: string;
  description: string;
}

export interface FunctionDescription {
  summary: string;
  returns: 'image' | 'json';
  cost: FilterCost;
  ownWorkers: boolean;
  params: ParameterDescription[];
}

export function describeFunction(filter: Filter): FunctionDescription {
  const schema = toJsonSchema(filter.params);
  const required = new Set(schema.required);
  return {
    summary: filter.summary,
    returns: filter.returns ?? 'image',
    cost: filter.cost ?? 'heavy',
    ownWorkers: filter.ownWorkers ?? false,
    params: Object.entries(schema.properties ?? {}).map(([name, property]) =>
      describeParameter(name, property, required.has(name)),
    ),
  };
}

function describeParameter(name: string, schema: JsonSchema, required: boolean): ParameterDescription {
  return {
    name,
    type: typeOf(schema),
    required,
    ...(schema.default !== undefined && { default: schema.default }),
    ...(schema.minimum !== undefined && { minimum: schema.minimum }),
    ...(schema.maximum !== undefined &&
      schema.maximum < Number.MAX_SAFE_INTEGER && { maximum: schema.maximum }),
    ...(schema.enum !== undefined && { values: schema.enum }),
    accepts: expectedType(schema) ?? 'anything',
    description: schema.description ?? '',
  };
}

function typeOf(schema: JsonSchema): string {
  const options = schema.anyOf ?? schema.oneOf;
  if (options !== undefined) return [...new Set(options.map(typeOf))].join('|');
  return schema.type ?? (typeof schema.enum?.[0] === 'string' ? 'string' : 'any');
}
