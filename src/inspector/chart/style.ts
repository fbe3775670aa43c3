/*
 * The colours and letters of a chart. Light or dark as the reader's system asks, unless the chart or something around
 * it has the class `is-light` or `is-dark`, or data-theme="light" or "dark". A page may set the variables itself.
 */

const light = `--c-paper:#f7f9fc;--c-group:#eef2f8;--c-box:#ffffff;--c-border:#b9c4d4;--c-frame:#d5dde8;--c-rule:#e3e9f1;--c-title:#14202e;--c-text:#4b5a6d;--c-who:#6a7a8f;--c-event:#1c4f9c;--c-guard:#8a5a00;--c-line:#8695aa;--c-pill:#ffffff;--c-active:#1668dc;--c-active-box:#e3efff;--c-taken:#c2410c;--c-taken-box:#fff1e6`
const dark = `--c-paper:#0f1620;--c-group:#141d2a;--c-box:#1a2534;--c-border:#3d4d63;--c-frame:#2a3747;--c-rule:#2b394b;--c-title:#e8eef6;--c-text:#a9b7c9;--c-who:#8293a8;--c-event:#8ab8ff;--c-guard:#e0b25a;--c-line:#66788f;--c-pill:#1a2534;--c-active:#58a0ff;--c-active-box:#16345c;--c-taken:#ff9552;--c-taken-box:#40240f`

export const style = `
.ocps-chart{${light};font:11.5px Inter,ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,"DejaVu Sans",sans-serif}
@media (prefers-color-scheme:dark){.ocps-chart{${dark}}}
.is-light .ocps-chart,.ocps-chart.is-light,[data-theme=light] .ocps-chart{${light}}
.is-dark .ocps-chart,.ocps-chart.is-dark,[data-theme=dark] .ocps-chart{${dark}}
.ocps-chart text{fill:var(--c-text)}
.ocps-chart .title{font-size:13px;font-weight:700;fill:var(--c-title)}
.ocps-chart .box{fill:var(--c-box);stroke:var(--c-border);stroke-width:1.25}
.ocps-chart .compound>.box,.ocps-chart .parallel>.box{fill:var(--c-group)}
.ocps-chart .frame>.box{fill:var(--c-paper);stroke:var(--c-frame)}
.ocps-chart .inner{fill:none;stroke:var(--c-border);stroke-width:1.25}
.ocps-chart .rule{stroke:var(--c-rule);stroke-width:1;fill:none}
.ocps-chart .initial{fill:var(--c-title)}
.ocps-chart .history>circle{fill:var(--c-box);stroke:var(--c-border);stroke-width:1.25}
.ocps-chart .anywhere>rect{fill:none;stroke:var(--c-border);stroke-width:1.25;stroke-dasharray:4 3}
.ocps-chart .anywhere>.title{fill:var(--c-text);font-weight:400}
.ocps-chart .who,.ocps-chart .word{fill:var(--c-who)}
.ocps-chart .event{fill:var(--c-event);font-weight:700}
.ocps-chart .guard{fill:var(--c-guard)}
.ocps-chart .action{fill:var(--c-text)}
.ocps-chart .line{fill:none;stroke:var(--c-line);stroke-width:1.5}
.ocps-chart .head{fill:var(--c-line)}
.ocps-chart .to-history>.line{stroke-dasharray:4 3}
.ocps-chart .pill{fill:var(--c-pill);stroke:var(--c-rule)}
.ocps-chart .is-active>.box,.ocps-chart .is-active>circle{fill:var(--c-active-box);stroke:var(--c-active);stroke-width:2}
.ocps-chart .frame.is-active>.box{fill:var(--c-paper);stroke:var(--c-frame);stroke-width:1.25}
.ocps-chart .compound.is-active>.box{fill:var(--c-group)}
.ocps-chart .is-active>.inner{stroke:var(--c-active)}
.ocps-chart .is-taken>.line,.ocps-chart .arrow:has(.is-taken)>.line{stroke:var(--c-taken);stroke-width:2.5}
.ocps-chart .is-taken>.head,.ocps-chart .arrow:has(.is-taken)>.head{fill:var(--c-taken)}
.ocps-chart .is-taken>.pill,.ocps-chart .arrow:has(.is-taken)>.pill{fill:var(--c-taken-box);stroke:var(--c-taken)}
.ocps-chart tspan.is-taken{fill:var(--c-taken)}
`
