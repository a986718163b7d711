/** Bounds what was read as JSON, before anything walks it by calling itself. */

/** In words what is too deep or too many; undefined where nothing is. */
export function faultOfShape(root: unknown, maxDepth: number, maxValues: number): string | undefined {
  let level: unknown[] = [root];
  let values = 0;
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) return `is nested more than ${maxDepth} levels deep`;
    values += level.length;
    if (values > maxValues) return `holds more than ${maxValues} values`;
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null ? Object.values(value) : [],
    );
  }
  return undefined;
}
