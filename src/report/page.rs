//! The page: whole in itself, to be read without a script, without a network, on a phone, by keyboard and aloud.

use super::draw;
use super::figures::Figure;
use super::table::{Kind, Table, Value};
use base64::Engine;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

/// Rows of a table that a page shows; the files have all.
const ROWS: usize = 100;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--quiet:#57606a;--ground:#fff;--line:#8c959f;--rule:#e3e6e9;--link:#0b5394;--band:#f5f7f9}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--quiet:#a8b0b9;--ground:#15181c;--line:#6b747d;--rule:#2c3238;--link:#7cc0ff;--band:#1d2126}}\
*{box-sizing:border-box}\
body{margin:0 auto;padding:1rem 1.25rem 4rem;max-width:60rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground)}\
h1{font-size:1.7rem;line-height:1.2;margin:1rem 0 .25rem}h2{font-size:1.25rem;margin:3rem 0 .25rem}\
p{max-width:44rem;margin:.4rem 0}.quiet{color:var(--quiet)}a{color:var(--link)}\
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--ground);padding:.5rem}\
nav ul{columns:15rem;padding-left:1.2rem;margin:.75rem 0}\
.scroll{overflow-x:auto;margin:.75rem 0}.scroll:focus-visible,summary:focus-visible,a:focus-visible,button:focus-visible{outline:2px solid var(--link);outline-offset:2px}\
.figure{min-width:38rem;max-width:100%;height:auto;display:block}\
details{margin:.5rem 0}summary{cursor:pointer}\
table{border-collapse:collapse;font-size:.9rem;margin:.5rem 0}th,td{padding:.2rem .75rem .2rem 0;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top}\
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
th button{font:inherit;font-weight:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer;text-decoration:underline dotted}\
.tip{position:fixed;z-index:1;pointer-events:none;background:var(--ink);color:var(--ground);padding:.25rem .5rem;border-radius:.25rem;font-size:.85rem;max-width:20rem}";

/// Sorting of tables, and tooltips that come at once. The page is whole without it.
const SCRIPT: &str = "\
(()=>{'use strict';\
for(const table of document.querySelectorAll('table.sortable')){\
table.querySelectorAll('th').forEach((head,at)=>{\
const button=document.createElement('button');button.textContent=head.textContent;head.replaceChildren(button);\
button.addEventListener('click',()=>{\
const up=head.getAttribute('aria-sort')==='descending';\
table.querySelectorAll('th').forEach(other=>other.removeAttribute('aria-sort'));\
head.setAttribute('aria-sort',up?'ascending':'descending');\
const key=row=>{const cell=row.cells[at],value=cell.dataset.value;return value===undefined?cell.textContent:value===''?-Infinity:+value};\
const rows=[...table.tBodies[0].rows];\
rows.sort((a,b)=>{const x=key(a),y=key(b);return(x<y?-1:x>y?1:0)*(up?1:-1)});\
table.tBodies[0].append(...rows)})})}\
const tip=document.createElement('div');tip.className='tip';tip.hidden=true;document.body.append(tip);\
for(const mark of document.querySelectorAll('svg.figure title')){\
const said=mark.textContent,on=mark.parentNode;\
on.addEventListener('pointerenter',event=>{tip.textContent=said;tip.hidden=false;place(event)});\
on.addEventListener('pointermove',place);on.addEventListener('pointerleave',()=>{tip.hidden=true})}\
function place(event){tip.style.left=Math.min(event.clientX+12,innerWidth-tip.offsetWidth-4)+'px';tip.style.top=event.clientY+16+'px'}\
})();";

/// What stands above the figures.
pub struct Head {
    pub title: String,
    /// Of what, and from what.
    pub lines: Vec<String>,
    /// Back to the page that leads here.
    pub up: Option<&'static str>,
}

/// A link to another page, and a row of numbers beside it.
pub struct Link {
    pub name: String,
    pub href: String,
    pub numbers: Vec<String>,
}

/// The page of a period.
pub fn page(head: &Head, figures: &[Figure]) -> String {
    let body = html! {
        nav aria-label="Figures" { ul { @for figure in figures { li { a href={ "#" (figure.key) } { (figure.title) } } } } }
        @for figure in figures { (section(figure)) }
    };
    whole(head, &body)
}

/// The page that leads to those of the periods.
pub fn index(head: &Head, columns: &[&str], links: &[Link], figures: &[Figure]) -> String {
    let body = html! {
        h2 id="periods" { "Periods" }
        div.scroll tabindex="0" role="region" aria-label="Periods" {
            table {
                thead { tr { th scope="col" { "period" } @for column in columns { th.number scope="col" { (column) } } } }
                tbody { @for link in links { tr {
                    th scope="row" { a href=(link.href) { (link.name) } }
                    @for number in &link.numbers { td.number { (number) } }
                } } }
            }
        }
        @for figure in figures { (section(figure)) }
    };
    whole(head, &body)
}

fn whole(head: &Head, body: &Markup) -> String {
    let style = format!("{STYLE}{}", draw::STYLE);
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        hash(&style),
        hash(SCRIPT)
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content={ "customs " (env!("CARGO_PKG_VERSION")) };
                title { (head.title) }
                style { (PreEscaped(&style)) }
            }
            body {
                a.skip href="#content" { "Skip to the figures" }
                header {
                    @if let Some(up) = head.up { p { a href=(up) { "All periods" } } }
                    h1 { (head.title) }
                    @for line in &head.lines { p.quiet { (line) } }
                }
                main id="content" { (body) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// What a content security policy names an inline element by (CSP level 3, section 2.3.1).
fn hash(text: &str) -> String {
    format!("'sha256-{}'", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes())))
}

fn section(figure: &Figure) -> Markup {
    let rows = figure.table.rows.len();
    let heading = format!("{}-title", figure.key);
    html! {
        section aria-labelledby=(heading) id=(figure.key) {
            h2 id=(heading) { (figure.title) }
            p { (figure.text) }
            @match &figure.drawing {
                Some(drawing) => div.scroll tabindex="0" role="region" aria-label={ (figure.title) ", figure" } { (PreEscaped(drawing)) },
                None if rows == 0 => p.quiet { "Nothing to show." },
                None => {}
            }
            @if rows > 0 {
                @if figure.drawing.is_some() {
                    details { summary { "Numbers" } (numbers(figure)) }
                } @else { (numbers(figure)) }
            }
        }
    }
}

fn numbers(figure: &Figure) -> Markup {
    let Table { columns, rows } = &figure.table;
    let file = |suffix: &str| format!("figures/{}.{suffix}", figure.key);
    html! {
        div.scroll tabindex="0" role="region" aria-label={ (figure.title) ", numbers" } {
            table.sortable {
                thead { tr { @for (name, kind) in columns {
                    th scope="col" class=[(*kind != Kind::Text).then_some("number")] { (name.replace('_', " ")) }
                } } }
                tbody { @for row in rows.iter().take(ROWS) { tr { @for ((name, _), value) in columns.iter().zip(row) { (field(name, value)) } } } }
            }
        }
        p.quiet {
            @if rows.len() > ROWS { (draw::number((rows.len() - ROWS) as f64)) " more rows in the files. " }
            "Beside this page: "
            a href=(file("csv")) { "CSV" } ", " a href=(file("parquet")) { "Parquet" }
            @if figure.drawing.is_some() { ", " a href=(file("svg")) { "SVG" } }
        }
    }
}

fn field(name: &str, value: &Value) -> Markup {
    match value {
        Value::Text(text) => html! { td { (text) } },
        Value::Count(count) => html! { td.number data-value=(count) { (draw::number(*count as f64)) } },
        Value::Real(real) if name.starts_with("share") => {
            html! { td.number data-value=(real) { (format!("{:.1} %", real * 100.0)) } }
        }
        Value::Real(real) => html! { td.number data-value=(real) { (draw::number(*real)) } },
        Value::Missing => html! { td.number data-value="" { span aria-label="undefined" role="img" { "–" } } },
    }
}
