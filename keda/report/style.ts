/** The page's look, in light and dark. */

export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #16181d; --soft: #5b6472; --faint: #e6e9ee; --rule: #c4cad4;
  --blue: #2563eb; --amber: #c2680a; --teal: #0d8a7d; --violet: #8b3fd9; --rose: #d1365b; --grey: #7a8494;
  --good: #12824c; --bad: #c32f3d;
  --shadow: 0 1px 2px rgb(16 24 40 / .06), 0 1px 3px rgb(16 24 40 / .08);
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1115; --card: #181b21; --ink: #edeff3; --soft: #9aa4b2; --faint: #272c35; --rule: #414956;
    --blue: #6ea8fe; --amber: #f0a840; --teal: #36c9b8; --violet: #c08bff; --rose: #ff7d97; --grey: #8d97a6;
    --good: #4fce8b; --bad: #ff7a85;
    --shadow: 0 0 0 1px rgb(255 255 255 / .05);
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 56px; display: grid; gap: 20px; grid-template-columns: minmax(0, 1fr); }
h1 { font-size: 28px; line-height: 1.2; letter-spacing: -.015em; margin: 2px 0 6px; text-wrap: balance; }
h2 { font-size: 15px; font-weight: 600; margin: 0; }
.brand { margin: 0; font-size: 12px; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; color: var(--soft); }
.subtitle { margin: 0; color: var(--soft); text-wrap: pretty; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 12px; }
.figure, .card, .findings { background: var(--card); border-radius: 12px; box-shadow: var(--shadow); }
.figure { padding: 12px 14px; display: grid; align-content: start; }
.figure span { color: var(--soft); font-size: 13px; }
.figure strong { font-size: 20px; font-weight: 600; letter-spacing: -.02em; white-space: nowrap; font-variant-numeric: tabular-nums; line-height: 1.35; }
.figure small { color: var(--soft); font-size: 12.5px; }
.figure.good strong { color: var(--good); } .figure.bad strong { color: var(--bad); }
.findings { padding: 14px 18px; border-left: 3px solid var(--blue); }
.findings p { margin: 0; text-wrap: pretty; } .findings p + p { margin-top: 6px; }
.card { padding: 16px 18px; }
.head { display: flex; flex-wrap: wrap; gap: 4px 20px; justify-content: space-between; align-items: baseline; margin-bottom: 6px; }
.unit { font-weight: 400; color: var(--soft); margin-left: 4px; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 0; padding: 0; font-size: 13px; color: var(--soft); }
.legend svg { width: 22px; height: 8px; margin-right: 6px; }
.scroll { overflow-x: auto; }
.plot { position: relative; min-width: 620px; }
.plot svg { display: block; width: 100%; height: auto; touch-action: pan-y; border-radius: 6px; }
.plot svg:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
.grid { stroke: var(--faint); stroke-width: 1; } .grid.base { stroke: var(--rule); }
.tick { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
.tick.y { text-anchor: end; dominant-baseline: central; } .tick.x { text-anchor: middle; }
svg path { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; vector-effect: non-scaling-stroke; }
svg path.dashed { stroke-dasharray: 5 4.5; stroke-linecap: butt; }
.areas path { stroke: none; opacity: .14; }
.cursor line { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; }
.cursor circle { stroke: var(--card); stroke-width: 1.5; }
.tip { position: absolute; top: 0; left: 0; pointer-events: none; background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 7px 10px; font-size: 12.5px; box-shadow: 0 6px 20px rgb(0 0 0 / .14); white-space: nowrap; }
.tip.quiet { opacity: .88; }
.tip time { display: block; color: var(--soft); margin-bottom: 2px; }
.tip div { display: flex; align-items: center; gap: 7px; } .tip b { margin-left: auto; padding-left: 12px; font-weight: 600; font-variant-numeric: tabular-nums; }
.tip i { width: 9px; height: 9px; border-radius: 50%; background: currentColor; }
[hidden] { display: none !important; }
.note { margin: 4px 0 0; color: var(--soft); font-size: 13px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; margin-top: 8px; }
th { text-align: left; font-weight: 500; color: var(--soft); white-space: nowrap; } th, td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--faint); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
summary { cursor: pointer; } summary h2 { display: inline; }
footer { color: var(--soft); font-size: 13px; } footer p { margin: 0 0 4px; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: 12.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--card); border-radius: 8px; padding: 10px 12px; box-shadow: var(--shadow); }
${colorRules(['blue', 'amber', 'teal', 'violet', 'rose', 'grey'])}
@media (max-width: 600px) { main { padding: 24px 14px 40px; gap: 14px; } h1 { font-size: 23px; } .figures { grid-template-columns: repeat(2, 1fr); } .card { padding: 14px; } }
@media print { body { background: none; } .figure, .card, .findings { box-shadow: none; border: 1px solid var(--faint); break-inside: avoid; } }
`;

/** One class a colour: lines take it as stroke, filled areas and dots as fill, the tip's dots as text colour. */
function colorRules(names: string[]): string {
  return names
    .map(
      (name) =>
        `path.${name} { stroke: var(--${name}); } .areas path.${name}, circle.${name} { fill: var(--${name}); } i.${name} { color: var(--${name}); }`,
    )
    .join('\n');
}
