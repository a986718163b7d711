/** One thing that `darkroom doctor` has looked at. */
export interface Check {
  name: string;
  verdict: 'ok' | 'warning' | 'failed';
  found: string;
  /** What to do, when something is wrong. */
  fix?: string;
}
