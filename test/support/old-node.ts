/** An older Node, as far as Darkroom's launcher can tell. */

/** Option of Node that makes it say that it is Node 20, to the launcher alone: what it starts is not told. */
export const AS_NODE_20 = `--import=data:text/javascript,${encodeURIComponent(
  "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.11.0' } })",
)}`;
