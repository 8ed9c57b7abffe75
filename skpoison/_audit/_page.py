"""The page around a report: one file, without scripts, fonts or network."""

STYLE = """
:root { color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2024; --soft: #5a6470; --rule: #d9dee3; --tint: #f4f6f8;
  --main: #0072b2; --attacked: #c04f00; --clean: #00785a; --other: #8a949e;
  --good: #00694f; --warn: #8a5a00; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171a; --ink: #e8eaed; --soft: #a3acb6; --rule: #343b42; --tint: #1d2226;
  --main: #6cb8ee; --attacked: #f0935a; --clean: #4cc9a0; --other: #7d8791;
  --good: #5fd0a8; --warn: #e9b44c; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 64rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, -apple-system, "Segoe UI",
  "Liberation Sans", Arial, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .2rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .5rem; padding-top: .8rem;
  border-top: 1px solid var(--rule); }
p { margin: .5rem 0; max-width: 46rem; }
.soft, figcaption, caption { color: var(--soft); font-size: .88rem; }
ul { padding-left: 1.2rem; max-width: 46rem; }
li { margin: .3rem 0; }
nav { font-size: .9rem; margin: .6rem 0; }
nav a { margin-right: .9rem; white-space: nowrap; }
a { color: var(--main); }
.tiles { display: grid; gap: .7rem; margin: 1rem 0; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); max-width: none; }
.tiles li { background: var(--tint); border-radius: .5rem; padding: .7rem .9rem;
  margin: 0; }
.tiles b { display: block; font-size: 1.45rem; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: .85rem; display: block; line-height: 1.3; }
.figures { display: grid; gap: 1.2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); }
@media (min-width: 52rem) { .pair { display: grid; gap: 1.5rem; align-items: start;
  grid-template-columns: 1fr 1fr; } }
figure { margin: .6rem 0; break-inside: avoid; }
figure h3 { font-size: .98rem; margin: 0 0 .2rem; }
svg { width: 100%; max-width: 36rem; height: auto; display: block; }
svg text { font: 11px system-ui, "Liberation Sans", Arial, sans-serif;
  fill: var(--soft); }
svg .mid { text-anchor: middle; } svg .end { text-anchor: end; }
svg .name { fill: var(--soft); } svg .grid { stroke: var(--rule); }
svg .tick { stroke: var(--soft); }
svg .mark { stroke: var(--ink); stroke-dasharray: 2 3; }
svg .line { fill: none; stroke-width: 1.4; } svg .range { stroke-width: 2; }
svg .line.other, svg .range.other { stroke: var(--other); }
svg .line.main, svg .range.main { stroke: var(--main); stroke-width: 2.6; }
svg .line.moving { stroke: var(--main); stroke-dasharray: 5 4; }
svg .dot.moving { fill: var(--paper); stroke: var(--main); }
svg .name.moving { fill: var(--main); }
svg .line.attacked { stroke: var(--attacked); stroke-width: 2; }
svg .line.clean { stroke: var(--clean); stroke-width: 2; stroke-dasharray: 6 3; }
svg .line.base { stroke: var(--soft); stroke-dasharray: 2 3; }
svg .dot.other { fill: var(--other); } svg .dot.main { fill: var(--main); }
svg .dot.attacked { fill: var(--attacked); } svg .dot.clean { fill: var(--clean); }
svg .open { fill: var(--paper); stroke-width: 1.8; stroke: var(--other); }
svg .open.main { stroke: var(--main); }
svg .name.main { fill: var(--main); font-weight: 700; }
svg .name.attacked { fill: var(--attacked); } svg .name.clean { fill: var(--clean); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin: .6rem 0;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { text-align: right; padding: .35rem .6rem .35rem 0; vertical-align: top;
  border-bottom: 1px solid var(--rule); }
th { font-weight: 600; vertical-align: bottom; }
data { white-space: nowrap; }
th.t, td.t { text-align: left; }
tr.best { background: var(--tint); font-weight: 600; }
.status { display: inline-block; border: 1px solid; border-radius: 1rem;
  padding: 0 .6rem; font-size: .8rem; white-space: nowrap; }
.holds { color: var(--good); } .watch { color: var(--warn); }
.violated { color: var(--bad); font-weight: 700; } .untested { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem;
  font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; }
.checks { list-style: none; padding: 0; max-width: 52rem; }
.checks > li { padding: .6rem 0; border-bottom: 1px solid var(--rule);
  break-inside: avoid; }
.checks p { margin: .2rem 0 0; }
.rows { display: grid; gap: .8rem; padding: 0; list-style: none; max-width: none;
  grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); }
.rows > li { border: 1px solid var(--rule); border-radius: .5rem; margin: 0;
  padding: .7rem .9rem; break-inside: avoid; font-size: .88rem; min-width: 0; }
.rows h3 { margin: 0; font-size: 1rem; } .rows ul { margin: .3rem 0 0; }
.rows .beyond { font-weight: 700; color: var(--bad); }
@media (max-width: 40rem) {
  dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; }
  .cards thead { position: absolute; width: 1px; height: 1px; overflow: hidden;
    clip-path: inset(50%); }
  .cards tr { display: block; padding: .5rem .6rem; border: 1px solid var(--rule);
    border-radius: .5rem; margin-bottom: .6rem; }
  .cards td { display: flex; justify-content: space-between; gap: 1rem; border: 0;
    padding: .1rem 0; text-align: right; }
  .cards td::before { content: attr(data-label); color: var(--soft); text-align: left;
    font-weight: 400; }
  .cards td.t:first-child { font-weight: 600; } }
@media print {
  :root { color-scheme: light; --paper: #ffffff; --ink: #000000; --soft: #444444;
    --rule: #bbbbbb; --tint: #f2f2f2; --main: #005a8e; --attacked: #a04000;
    --clean: #006048; --other: #777777; --good: #00523d; --warn: #6b4600;
    --bad: #8c1d18; }
  body { font-size: 10.5pt; max-width: none; padding: 0; } nav { display: none; }
  h2 { break-after: avoid; } tr { break-inside: avoid; } a { color: inherit; } }
"""

# Even if something escaped the escaping, it could neither run nor load anything.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(title, body):
    """Put a report into a page of its own.

    Parameters
    ----------
    title : str
        Escaped text.
    body : str
        Markup.

    Returns
    -------
    html : str
        A whole document.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
