/**
 * Colours of the page and its charts, by what they mean. Text on its ground has a contrast of at least 4.5:1;
 * blue and orange stay apart for the colour-blind.
 */
const LIGHT = {
  ground: '#ffffff',
  panel: '#f6f7f9',
  ink: '#1a1f26',
  quiet: '#57606c',
  rule: '#c9cfd7',
  grid: '#eaedf1',
  good: '#0a5fb4',
  best: '#a84300',
  data: '#4b5563',
  raw: '#b3bcc8',
  'good-ground': '#e9f2fc',
  'best-ground': '#fcf0e6',
};
const DARK: typeof LIGHT = {
  ground: '#12161c',
  panel: '#1b2129',
  ink: '#e6eaf0',
  quiet: '#9aa5b3',
  rule: '#434d5a',
  grid: '#262d37',
  good: '#74b5ff',
  best: '#ffa45c',
  data: '#b4bdca',
  raw: '#586373',
  'good-ground': '#152a42',
  'best-ground': '#3a2613',
};

/** For pages that choose between light and dark themselves. */
export const REPORT_COLOURS = { light: LIGHT, dark: DARK };

const variables = (colours: typeof LIGHT): string =>
  Object.entries(colours)
    .map(([name, colour]) => `--${name}:${colour}`)
    .join(';');

const PAGE = `
*{box-sizing:border-box}
body{
  margin:0;
  background:var(--ground);
  color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
  -webkit-text-size-adjust:100%;
}
main{max-width:1048px;margin:0 auto;padding:40px 24px 72px}
section{margin-top:44px}
h1,h2,h3,p,dl,dd,figure,ul{margin:0;padding:0}
h1{
  font-size:clamp(1.75rem,1.2rem + 2.4vw,2.6rem);
  line-height:1.15;
  letter-spacing:-.02em;
  font-weight:700;
  text-wrap:balance;
}
h2{font-size:1.15rem;line-height:1.3;font-weight:650;margin-bottom:12px}
h3{font-size:.8125rem;font-weight:600;color:var(--quiet);margin-bottom:4px}
section p + p{margin-top:8px}
section > p{max-width:46em}
.subject{color:var(--quiet);margin-bottom:8px;overflow-wrap:anywhere}
.lead{font-size:1.0625rem;color:var(--quiet);max-width:42em;margin-top:10px}
.caption{font-size:.875rem;color:var(--quiet);margin-top:8px;max-width:52em}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.best{--mark:var(--best)}
.smallest-good,.only{--mark:var(--good)}
`;

const TILES = `
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:12px;margin-top:26px}
.tile{
  background:var(--panel);
  border-radius:8px;
  padding:14px 16px;
  border-top:3px solid var(--mark,var(--rule));
}
.tile dt{font-size:.8125rem;color:var(--quiet);font-weight:600}
.tile .value{
  font-size:2rem;
  line-height:1.25;
  font-weight:680;
  letter-spacing:-.01em;
  color:var(--mark,var(--ink));
  font-variant-numeric:tabular-nums;
}
.tile .about{font-size:.8125rem;line-height:1.45;color:var(--quiet);font-variant-numeric:tabular-nums}
`;

/** Charts alone, for pages that show one. They need the colours. */
export const CHART_STYLE = `
.pair{display:flex;flex-wrap:wrap;gap:16px 30px;align-items:flex-start}
.pair figure{flex:1 1 310px;min-width:0}
.equals{
  display:grid;
  grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));
  gap:24px 30px;
  margin-top:20px;
}
.equals figure{min-width:0}
.single{margin-top:20px}
.choices{padding-left:1.2em;max-width:52em}
.choices li + li{margin-top:4px}
.pair figure:first-child{flex:2 1 600px}
svg{
  display:block;
  max-width:100%;
  height:auto;
  font:12.5px/1 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
  font-variant-numeric:tabular-nums;
  overflow:visible;
}
.narrow{display:none}
.narrow svg{width:100%}
svg text{fill:var(--quiet)}
svg path{fill:none;stroke:var(--rule)}
.axis .title{font-size:12.5px}
.axis .break{stroke:var(--quiet)}
.axis .grid{stroke:var(--grid)}
svg .curve{stroke:var(--raw);stroke-width:1.5}
.mark path{stroke:var(--mark,var(--data));stroke-width:1.6}
.mark circle{fill:var(--mark,var(--data));stroke:var(--mark,var(--data));stroke-width:2}
.mark.worse circle{fill:var(--ground)}
svg .mark .target{fill:transparent;stroke:none}
.mark:hover circle{stroke-width:4}
.dense .mark path{stroke-width:1;opacity:.55}
.base path{stroke:var(--data);stroke-dasharray:5 4}
svg .leader{stroke:var(--mark)}
svg .label{fill:var(--mark,var(--ink))}
svg .strong{font-weight:650}
.bar rect{fill:var(--mark,var(--raw))}
.bar:is(.best,.smallest-good) text{fill:var(--mark);font-weight:650}
svg .raw{stroke:var(--raw);stroke-width:1;stroke-linejoin:round}
svg .smooth{stroke:var(--good);stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}
svg .dot{fill:var(--raw)}
.alone .raw{stroke:var(--good);stroke-width:2}
.alone .dot{fill:var(--good)}
.evaluated path{stroke:var(--mark,var(--raw));stroke-width:1.4;stroke-linejoin:round}
.evaluated.best path{stroke-width:2.2}
.evaluated circle{fill:var(--mark,var(--raw))}
.strip .trained{stroke:var(--data);stroke-width:1.3}
`;

const TABLE = `
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{
  padding:7px 10px;
  text-align:right;
  border-bottom:1px solid var(--grid);
  white-space:nowrap;
  font-weight:400;
}
thead th{font-size:.8125rem;font-weight:600;color:var(--quiet);border-bottom-color:var(--rule)}
tbody th{font-weight:650}
.scrolled{overflow-x:auto}
td .tag{font-size:.875em}
.scrolled th{white-space:normal}
.scrolled td :is(.error,.tag){display:block}
td .tag:is(.not-worse,.worse){color:var(--quiet);font-weight:400}
td.verdict{text-align:left;padding-left:18px}
.error{color:var(--quiet);font-size:.875em}
.star{display:inline-block;width:.6em;text-align:left}
.base-row th,.base-row td,td.empty,tr:is(.worse,.not-worse,.unknown) .verdict{color:var(--quiet)}
tr.best{background:var(--best-ground)}
tr.smallest-good{background:var(--good-ground)}
tr:is(.best,.smallest-good) :is(th,.verdict){color:var(--mark);font-weight:650}
`;

const TEXTS = `
.sample + .sample{margin-top:28px;padding-top:24px;border-top:1px solid var(--rule)}
.text{
  white-space:pre-wrap;
  overflow-wrap:anywhere;
  max-height:15.5em;
  overflow:auto;
  background:var(--panel);
  border-radius:6px;
  padding:10px 12px;
  font-size:.9375rem;
  line-height:1.5;
  margin-bottom:14px;
}
.answers{display:grid;grid-template-columns:repeat(auto-fit,minmax(230px,1fr));gap:0 16px}
.answer{min-width:0}
.answer h3{color:var(--ink)}
.tag{color:var(--mark);font-weight:600}
.nothing{color:var(--quiet);padding:10px 0}
.settings{display:grid;grid-template-columns:repeat(auto-fill,minmax(280px,1fr));gap:0 30px}
.settings div{
  display:flex;
  justify-content:space-between;
  gap:16px;
  padding:6px 0;
  border-bottom:1px solid var(--grid);
  font-size:.9375rem;
}
.settings dt{color:var(--quiet);flex:none}
.settings dd{text-align:right;overflow-wrap:anywhere;min-width:0;font-variant-numeric:tabular-nums}
.notes{list-style:none;margin-bottom:16px}
.notes li{
  border-left:3px solid var(--best);
  background:var(--best-ground);
  padding:8px 12px;
  margin-bottom:6px;
  border-radius:0 6px 6px 0;
  overflow-wrap:anywhere;
  font-size:.9375rem;
}
pre{
  margin:0;
  padding:14px 16px;
  background:var(--panel);
  border:1px solid var(--rule);
  border-radius:8px;
  white-space:pre-wrap;
  overflow-wrap:anywhere;
}
.next .other{margin:16px 0 8px}
code{
  font:.9375rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
  user-select:all;
}
`;

/** A phone gets its own drawings, and a table row becomes a card of two lines. */
const PHONE = `
@media (max-width:680px){
main{padding:24px 16px 48px}
section{margin-top:36px}
.wide{display:none}
.narrow{display:block}
.tiles{grid-template-columns:1fr 1fr;gap:10px}
.tile{padding:10px 12px}
.tile .value{font-size:1.6rem}
.answers,.settings{grid-template-columns:1fr}
table,tbody{display:block}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tbody tr{
  display:grid;
  grid-template-columns:1fr 1fr 1fr;
  gap:4px 10px;
  padding:10px 8px;
  border-bottom:1px solid var(--rule);
}
tbody th,tbody td{
  display:block;
  padding:0;
  border:0;
  text-align:left;
  white-space:normal;
  font-size:.875rem;
  line-height:1.35;
}
tbody th{font-size:1.0625rem}
tbody th::before{content:"rank ";font-weight:400}
:is(.base-row,.sized) th::before{content:none}
.rate th::before{content:"rate "}
td.verdict{order:-1;grid-column:2/4;padding:2px 0 0}
tbody th{order:-2}
td.empty{display:none}
td:not(.verdict)::before{content:attr(data-name);display:block;font-size:.75rem;color:var(--quiet)}
td .error{display:block}
}
`;

/** On paper: light colours, no scrolling, no page breaks inside charts. */
const PRINT = `
@media print{
.tiles{grid-template-columns:repeat(auto-fit,minmax(140px,1fr))}
.next .caption:last-child{display:none}
main{max-width:none;padding:0}
body{font-size:11pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}
section{margin-top:24px}
.text{max-height:none}
figure,tr,.tile,.answer,pre{break-inside:avoid}
h2,h3{break-after:avoid}
}
`;

/** The whole style sheet. Dark is for screens only: paper is white. */
export const REPORT_STYLE = [
  `\n:root{color-scheme:light;${variables(LIGHT)}}\n@media screen and ` +
    `(prefers-color-scheme:dark){:root{color-scheme:dark;${variables(DARK)}}}`,
  PAGE,
  TILES,
  CHART_STYLE,
  TABLE,
  TEXTS,
  PHONE,
  PRINT,
].join('');
