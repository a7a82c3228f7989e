/* page.c - the frame of a page: readable on a phone, in print and in the dark; tables sort at a click. */
#include "page.h"

#include "sheet.h"

static const char style[] =
	":root{--back:#fdfdfb;--ink:#1c1c1a;--soft:#6a6a64;--line:#d9d9d2;--c1:#1668b0;--c2:#c4510b;--c3:#7a3fa6;--c4:#"
	"1d7d3f;"
	"--c5:#b3202f;--c6:#00798a;--c7:#8a6a00;--c8:#5a5a5a}\n"
	"@media "
	"(prefers-color-scheme:dark){:root{--back:#16181a;--ink:#e6e6e2;--soft:#a2a29a;--line:#3a3d40;--c1:#6fb3f2;"
	"--c2:#f59a5c;--c3:#c99bef;--c4:#74d392;--c5:#f48a93;--c6:#5fd0de;--c7:#e0c04d;--c8:#b5b5b5}}\n"
	"@media "
	"print{:root{--back:#fff;--ink:#000;--soft:#444;--line:#bbb;--c1:#1668b0;--c2:#c4510b;--c3:#7a3fa6;--c4:#"
	"1d7d3f;"
	"--c5:#b3202f;--c6:#00798a;--c7:#8a6a00;--c8:#5a5a5a}figure,tr{break-inside:avoid}h2{break-after:avoid}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;max-width:72rem;padding:1rem;background:var(--back);color:var(--ink);"
	"font:16px/1.5 system-ui,sans-serif;color-scheme:light dark}\n"
	"h1{font-size:1.5rem;line-height:1.2;margin:.5rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}"
	"h3{font-size:1rem;margin:1.2rem 0 .3rem}\n"
	"p{max-width:46rem;margin:.4rem 0}.soft,figcaption,summary{color:var(--soft);font-size:.9rem}\n"
	".wide{overflow-x:auto;margin:.5rem 0}\n"
	"table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}\n"
	"th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}\n"
	"th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--back);white-space:"
	"normal}\n"
	"th button{all:unset;cursor:pointer;font-weight:600}th button:focus-visible{outline:2px solid var(--c1)}\n"
	"th[aria-sort=ascending] button::after{content:\" \\25b4\"}th[aria-sort=descending] button::after{content:\" "
	"\\25be\"}\n"
	".figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:.8rem}\n"
	".figures.small{grid-template-columns:repeat(auto-fill,minmax(10rem,1fr))}\n"
	"figure{margin:0;min-width:0}.picture img{width:100%;display:block}\n"
	"svg{max-width:100%;height:auto}svg text{fill:var(--ink)}.plot text{font-size:11px}\n"
	".grid{stroke:var(--line);fill:none}.curve{stroke:var(--c);fill:none;stroke-width:1.5;stroke-linejoin:round}\n"
	".box{fill:var(--c);opacity:.75}.level{stroke:var(--soft);stroke-dasharray:4 3;fill:none}\n"
	".key{display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;margin:.4rem 0;list-style:none;font-size:.9rem}\n"
	".key "
	"i{display:inline-block;width:.8rem;height:.8rem;background:var(--c);margin-right:.35rem;vertical-align:-."
	"05rem}\n"
	"pre{overflow-x:auto;font-size:.8rem;border-left:3px solid var(--line);padding:.2rem .6rem}\n"
	"details{margin:.4rem 0}summary{cursor:pointer}\n";

/* Numbers by their value, texts by the alphabet, cells without a value last; a second click turns the order round. */
static const char script[] =
	"document.querySelectorAll('table.sortable').forEach(function(table){\n"
	"var heads=table.querySelectorAll('th');\n"
	"heads.forEach(function(head,column){head.querySelector('button').addEventListener('click',function(){\n"
	"var down=head.getAttribute('aria-sort')==='ascending',body=table.tBodies[0];\n"
	"heads.forEach(function(h){h.removeAttribute('aria-sort')});\n"
	"head.setAttribute('aria-sort',down?'descending':'ascending');\n"
	"function value(row){var cell=row.cells[column];\n"
	"return cell.dataset.v!==undefined?Number(cell.dataset.v):column?NaN:cell.textContent}\n"
	"Array.from(body.rows).sort(function(a,b){var x=value(a),y=value(b);\n"
	"if(typeof x==='string'||typeof y==='string'){x=String(x);y=String(y);return "
	"down?y.localeCompare(x):x.localeCompare(y)}\n"
	"if(isNaN(x)||isNaN(y))return isNaN(x)-isNaN(y);\n"
	"return down?y-x:x-y}).forEach(function(row){body.appendChild(row)})})})});\n";

void lab_page_begin(FILE *f, const char *title)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
	      "<link rel=\"icon\" href=\"data:,\"/>\n<title>",
	      f);
	lab_html_text(f, title);
	fprintf(f, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", style);
	lab_html_text(f, title);
	fputs("</h1>\n", f);
}

void lab_page_end(FILE *f)
{
	fprintf(f, "<script>\n//<![CDATA[\n%s//]]>\n</script>\n</body>\n</html>\n", script);
}
