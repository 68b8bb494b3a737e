"""How the after-action report looks: the pages' own colours, by day, by night and on paper."""

STYLE = """
:root { color-scheme: light dark; --ground: #f6f1e7; --panel: #fffbf3; --line: #d8cdbb; --edge: #8b7f6f; --ink: #1c1713;
  --soft: #5d5348; --air: #b81f10; --hold: #7a4d00; --good: #1c6734; --cool: #1849c6; --shade: rgb(184 31 16 / 0.1); }
@media (prefers-color-scheme: dark) { :root { --ground: #120f0d; --panel: #1c1815; --line: #3a332c; --edge: #85796b;
  --ink: #f5efe5; --soft: #b8ad9f; --air: #ff6a55; --hold: #f3b548; --good: #7fcf94; --cool: #9db8ff;
  --shade: rgb(255 106 85 / 0.16); } }
@media print { :root { color-scheme: light; --ground: #fff; --panel: #fff; } details > * { display: block; } }
* { box-sizing: border-box; }
html { background: var(--ground); color: var(--ink);
  font: 1.0625rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", sans-serif; }
body { max-width: 68rem; margin: 0 auto; padding: 1.5rem clamp(1rem, 3vw, 2rem) 3rem; }
h1, h2 { font-family: "Iowan Old Style", "Palatino Linotype", Palatino, P052, Georgia, serif; font-weight: 500;
  line-height: 1.15; overflow-wrap: anywhere; }
h1 { margin: 0.2em 0; font-size: clamp(1.9rem, 1.2rem + 3vw, 3rem); }
h2 { margin: 0 0 0.6rem; font-size: 1.5rem; }
h3 { margin: 0 0 0.4rem; font-size: 1rem; }
p { margin: 0.4rem 0; max-width: 46rem; }
.brand { font-size: 0.8125rem; font-weight: 700; letter-spacing: 0.16em; text-transform: uppercase; }
.soft { color: var(--soft); font-size: 0.9375rem; }
section { margin-top: 1.5rem; padding: 1.2rem 1.3rem; border: 1px solid var(--line); border-radius: 0.6rem;
  background: var(--panel); }
.summary { border-left: 6px solid var(--good); font-size: 1.125rem; }
.summary.attack { border-left-color: var(--air); }
.groups { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); gap: 1rem; }
.groups > div { padding-left: 0.9rem; border-left: 4px solid var(--edge); }
.groups > .attack { border-color: var(--air); }
.groups > .unclear { border-color: var(--hold); }
.groups > .other { border-color: var(--good); }
ul { margin: 0.3rem 0; padding-left: 1.1rem; }
li { margin: 0.3rem 0; max-width: 46rem; }
figure { margin: 1rem 0; }
figcaption { font-weight: 600; }
.wide { overflow-x: auto; }
:focus-visible { outline: 3px solid var(--cool); outline-offset: 2px; }
svg { display: block; width: 100%; min-width: 44rem; height: auto; font-size: 13px; fill: var(--ink); }
svg .grid { fill: none; stroke: var(--line); }
svg .tick { fill: var(--soft); font-size: 12px; }
svg .end { text-anchor: end; }
svg .mid { text-anchor: middle; }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .line.a { stroke: var(--cool); }
svg .line.b { stroke: var(--hold); stroke-dasharray: 6 4; }
svg .line.c { stroke: var(--air); stroke-dasharray: 2 3; }
svg text.a { fill: var(--cool); }
svg text.b { fill: var(--hold); }
svg text.c { fill: var(--air); }
svg .bar { fill: var(--good); opacity: 0.85; }
svg .bar.v1 { fill: var(--cool); }
svg .bar.v2 { fill: var(--hold); }
svg .bar.v3, svg .bar.v4 { fill: var(--air); }
svg .shade { fill: var(--shade); }
svg .mark { fill: none; stroke: var(--edge); stroke-width: 1.5; stroke-dasharray: 1 4; stroke-linecap: round; }
table { width: 100%; border-collapse: collapse; font-size: 0.9375rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35rem 0.6rem 0.35rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; min-width: 4.5rem; }
thead th { border-top: 0; color: var(--soft); font-size: 0.875rem; }
tbody th { font-weight: 600; white-space: nowrap; }
.tag { padding: 0.05em 0.5em; border: 1.5px solid var(--edge); border-radius: 0.3em; white-space: nowrap; }
.tag.attack { border-color: var(--air); color: var(--air); font-weight: 700; }
.tag.undecided { border-color: var(--hold); color: var(--hold); }
.tag.crowd { border-color: var(--cool); color: var(--cool); }
section, figure { min-width: 0; }
code { word-break: break-all; font: 0.875em ui-monospace, "Liberation Mono", monospace; overflow-wrap: anywhere; }
summary { min-height: 1.75rem; cursor: pointer; font-weight: 600; }
"""
