/* page.c - the frame of a page: readable on a phone, in print and in the dark; tables sort at a click. */
#include "page.h"

#include "sheet.h"

/* Colours after Okabe and Ito, which the colour-blind tell apart; curves from the fifth on are dashed as well. */
static const char style[] =
	":root{--back:#fdfdfb;--ink:#1c1c1a;--soft:#62625c;--line:#dcdcd5;--c1:#0072b2;--c2:#d55e00;--c3:#00906a;"
	"--c4:#b0589a;--c5:#a87900;--c6:#2d95cf;--c7:#3c3c3c;--c8:#8c8c86}\n"
	"@media screen and (prefers-color-scheme:dark){:root{--back:#16181a;--ink:#e6e6e2;--soft:#a2a29a;--line:#3a3d40;"
	"--c1:#56b4e9;--c2:#f2854a;--c3:#35c79e;--c4:#e3a0cb;--c5:#e8ba2c;--c6:#9bd8f7;--c7:#dddddd;--c8:#8d8d89}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;max-width:76rem;padding:1rem;background:var(--back);color:var(--ink);"
	"font:16px/1.5 system-ui,sans-serif;color-scheme:light dark}\n"
	"h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0;overflow-wrap:anywhere}"
	"h2{font-size:1.2rem;margin:2.2rem 0 .5rem}\n"
	"p{max-width:46rem;margin:.4rem 0}.soft,figcaption,summary{color:var(--soft);font-size:.9rem}\n"
	".wide{overflow-x:auto;margin:.5rem 0}\n"
	"table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums}\n"
	"th,td{padding:.25rem .5rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}\n"
	"th{border-bottom:2px solid var(--line);vertical-align:bottom;white-space:normal}tbody tr:hover td{background:#8882}\n"
	"th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--back);"
	"white-space:normal;min-width:min(9.5rem,32vw);padding-left:0}\n"
	"th button{all:unset;cursor:pointer;font-weight:600}th button:focus-visible{outline:2px solid var(--c1)}\n"
	"th button::after{content:\"\\2195\";color:var(--soft);opacity:.5;font-weight:400;margin-left:.1em}\n"
	"th[aria-sort] button::after{color:var(--ink);opacity:1}"
	"th[aria-sort=ascending] button::after{content:\"\\2191\"}"
	"th[aria-sort=descending] button::after{content:\"\\2193\"}\n"
	".figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:1rem}\n"
	".figures.small{grid-template-columns:repeat(auto-fill,minmax(10rem,1fr))}\n"
	"figure{margin:0;min-width:0}.picture img{width:100%;display:block}\n"
	"svg{max-width:100%;height:auto}svg text{fill:var(--ink)}.plot{width:100%;display:block}"
	".plot text{font-size:13px;fill:var(--soft)}.plot .name{font-weight:600;fill:var(--ink)}"
	".plot .middle{text-anchor:middle}.plot .end{text-anchor:end}\n"
	".grid{stroke:var(--line);fill:none}.curve{stroke:var(--c);fill:none;stroke-width:1.7;stroke-linejoin:round}"
	".curve.dashed{stroke-dasharray:7 3}\n"
	".box{fill:var(--c);opacity:.55}.level{stroke:var(--ink);stroke-dasharray:4 3;fill:none}"
	".band{fill:var(--soft);opacity:.16}\n"
	".key{display:flex;flex-wrap:wrap;gap:.1rem 1rem;padding:0;margin:.4rem 0;list-style:none;font-size:.9rem}"
	"figcaption .key{margin:0 0 0 15%;font-size:.8rem;gap:0 .7rem}\n"
	".key i{display:inline-block;width:1.5rem;border-top:.2rem solid var(--c);margin-right:.4rem;"
	"vertical-align:.25rem}.key .dashed{border-top-style:dashed}.key .block{border-top-width:.8rem;opacity:.55;vertical-align:-.05rem}\n"
	"pre{overflow-x:auto;font-size:.8rem;border-left:3px solid var(--line);padding:.2rem .6rem}\n"
	"details{margin:.4rem 0}summary{cursor:pointer}\n"
	"@media print{:root{--back:#fff;--ink:#000;--soft:#444}@page{margin:14mm}body{max-width:none;padding:0;font-size:10pt;print-color-adjust:exact;"
	"-webkit-print-color-adjust:exact}.copy{display:none}p{max-width:none}.wide{overflow:visible}"
	"table{font-size:7.5pt}th,td{padding:1.5pt 4pt;white-space:normal}td[data-v]{white-space:nowrap}"
	"td:not([data-v]){overflow-wrap:anywhere}th:first-child,td:first-child{position:static;min-width:6rem}"
	"th button{display:none}th::before{content:attr(data-t)}thead{display:table-header-group;break-inside:avoid}tr,figure,li{break-inside:avoid}"
	"h2,h2+p,.key{break-after:avoid}.key{font-size:7.5pt}"
	".figures{grid-template-columns:repeat(2,1fr)}.figures.small{grid-template-columns:repeat(4,1fr)}}\n";

/* Numbers by their value, columns of texts by the alphabet (and the numbers in them), cells without a value last; a second click turns the order round. */
static const char script[] =
	"document.querySelectorAll('table.sortable').forEach(function(table){\n"
	"var heads=table.querySelectorAll('th');\n"
	"heads.forEach(function(head,column){head.querySelector('button').addEventListener('click',function(){\n"
	"var down=head.getAttribute('aria-sort')==='ascending',body=table.tBodies[0];\n"
	"heads.forEach(function(h){h.removeAttribute('aria-sort')});\n"
	"head.setAttribute('aria-sort',down?'descending':'ascending');\n"
	"var rows=Array.from(body.rows),texts=!rows.some(function(r){return r.cells[column].dataset.v!==undefined});\n"
	"function value(row){var cell=row.cells[column];\n"
	"return texts?cell.textContent:cell.dataset.v!==undefined?Number(cell.dataset.v):NaN}\n"
	"rows.sort(function(a,b){var x=value(a),y=value(b);\n"
	"if(texts)return (down?-1:1)*x.localeCompare(y,'en',{numeric:true});\n"
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
